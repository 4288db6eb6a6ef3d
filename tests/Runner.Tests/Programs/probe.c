// The program in the containers of the tests. MODE says what it does; each word of it may have arguments.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(99);
    }
    fputs(text, file);
    fclose(file);
}

// Copies a file to standard error.
static void show(const char *path)
{
    char buffer[4096];
    FILE *file = fopen(path, "r");
    size_t count;
    if (!file) {
        perror(path);
        return;
    }
    while ((count = fread(buffer, 1, sizeof buffer, file)) > 0)
        fwrite(buffer, 1, count, stderr);
    fclose(file);
}

static void onTerm(int signal)
{
    (void)signal;
    put("/data/output.json", "{\"status\":\"cancelled\"}");
    _exit(0);
}

static int connectSocket(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char answer[64] = "";
    int connection = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, variable("RUNTARA_SOCKET"), sizeof address.sun_path - 1);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        return 98;
    }
    if (read(connection, answer, sizeof answer - 1) < 0)
        return 97;
    fprintf(stderr, "door says %s", answer);
    return 0;
}

// What a container can do to the files of its run directory.
static void attack(void)
{
    const char *target = variable("TARGET");
    unlink("/data/input.json");
    symlink(target, "/data/input.json");
    symlink(target, "/data/output.json");
    unlink("/data/stderr.log");
    symlink(target, "/data/stderr.log");
    unlink("/data/config.json");
    symlink(target, "/data/config.json");
    rmdir("/data/workspace");
    symlink("/etc", "/data/workspace");
    mkdir("/data/error.json", 0777);
    put("/data/error.json/file", "x");
}

int main(void)
{
    const char *mode = variable("MODE");
    if (!strcmp(mode, "exit"))
        return atoi(variable("CODE"));
    if (!strcmp(mode, "signal")) {
        // The first process of a namespace is immune to its own signals, but not to a fault.
        *(volatile int *)0 = 0;
    }
    if (!strcmp(mode, "stderr")) {
        long lines = atol(variable("LINES"));
        for (long i = 1; i <= lines; i++)
            fprintf(stderr, "line %ld\n", i);
        return atoi(variable("CODE"));
    }
    if (!strcmp(mode, "output")) {
        put("/data/output.json", variable("TEXT"));
        return atoi(variable("CODE"));
    }
    if (!strcmp(mode, "huge")) {
        truncate("/data/output.json", 0);
        int file = open("/data/output.json", O_CREAT | O_WRONLY, 0644);
        return ftruncate(file, 1L << 40);
    }
    if (!strcmp(mode, "attack")) {
        attack();
        return 0;
    }
    if (!strcmp(mode, "sleep") || !strcmp(mode, "stubborn") || !strcmp(mode, "polite")) {
        if (!strcmp(mode, "polite"))
            signal(SIGTERM, onTerm);
        else if (!strcmp(mode, "stubborn"))
            signal(SIGTERM, SIG_IGN);
        put("/data/workspace/up", "up");
        for (;;)
            pause();
    }
    if (!strcmp(mode, "await")) {
        // Until the test says so; then whatever its variables ask for.
        put("/data/workspace/up", "up");
        while (access("/data/workspace/go", F_OK) != 0)
            usleep(2000);
        for (long i = 1; i <= atol(variable("LINES")); i++)
            fprintf(stderr, "line %ld\n", i);
        if (*variable("CONNECT") && connectSocket() != 0)
            return 94;
        if (*variable("TEXT"))
            put("/data/output.json", variable("TEXT"));
        if (*variable("FAULT"))
            *(volatile int *)0 = 0;
        return atoi(variable("CODE"));
    }
    if (!strcmp(mode, "count")) {
        // Overlapping runs would find the mark of the other.
        if (access("/data/workspace/busy", F_OK) == 0)
            return 96;
        put("/data/workspace/busy", "");
        put("/data/workspace/up", "up");
        usleep(200 * 1000);
        unlink("/data/workspace/busy");
        return 0;
    }
    if (!strcmp(mode, "env")) {
        for (char **entry = environ; *entry; entry++)
            fprintf(stderr, "%s\n", *entry);
        return 0;
    }
    if (!strcmp(mode, "show")) {
        show(variable("FILE"));
        return 0;
    }
    if (!strcmp(mode, "touch")) {
        put(variable("FILE"), "x");
        return 0;
    }
    if (!strcmp(mode, "list")) {
        DIR *directory = opendir(variable("FILE"));
        for (struct dirent *entry; directory && (entry = readdir(directory));)
            fprintf(stderr, "%s\n", entry->d_name);
        return 0;
    }
    if (!strcmp(mode, "connect"))
        return connectSocket();
    fprintf(stderr, "no such mode: %s\n", mode);
    return 95;
}
