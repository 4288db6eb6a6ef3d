// An agent: reads input.json as the test-harness convention has it, and does what the word after "mode" says.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(const char *path, const char *before, const char *text, const char *after)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(99);
    }
    fprintf(file, "%s%s%s", before, text, after);
    fclose(file);
}

static void onTerm(int signal)
{
    (void)signal;
    _exit(0);
}

static int is(const char *input, const char *mode)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"mode\":\"%s\"", mode);
    return strstr(input, wanted) != NULL;
}

int main(void)
{
    static char input[65536];
    FILE *file = fopen("/data/input.json", "r");
    if (!file || fread(input, 1, sizeof input - 1, file) == 0) {
        perror("/data/input.json");
        return 98;
    }
    fclose(file);
    if (is(input, "echo")) {
        put("/data/output.json", "{\"status\":\"completed\",\"result\":{\"input\":", input, "}}");
        return 0;
    }
    if (is(input, "refuse")) {
        put("/data/output.json", "{\"status\":\"failed\",\"error\":\"", "no such mood", "\"}");
        return 1;
    }
    if (is(input, "crash")) {
        fputs("it broke\n", stderr);
        return 3;
    }
    if (is(input, "polite") || is(input, "stubborn")) {
        if (is(input, "polite"))
            signal(SIGTERM, onTerm);
        else
            signal(SIGTERM, SIG_IGN);
        put("/data/workspace/up", "", "up", "");
        for (;;)
            pause();
    }
    fprintf(stderr, "no such mode: %s\n", input);
    return 95;
}
