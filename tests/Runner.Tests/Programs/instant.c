// A workflow that does nothing but say so.
#include <stdio.h>

int main(void)
{
    FILE *file = fopen("/data/output.json", "w");
    return file && fputs("{\"status\":\"completed\",\"result\":1}", file) >= 0 && fclose(file) == 0 ? 0 : 1;
}
