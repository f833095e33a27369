/* The state file: lines of `[@T|@T1-T2] key = value`, read again whenever it changes.
 *
 *   gpus = 2                            how many; driver = TEXT, cuda = 12080
 *   gpu.0.used = 4G                     any field of fake_nvml.h; K M G T are binary; na: not supported
 *   gpu.*.name = TEXT                   of all GPUs; also uuid
 *   gpu.0.proc.4711 = 2G                a compute process; na: the driver does not say (WDDM); rest: all that the
 *                                       others leave of what is used
 *   @5 gpu.0.util = 90                  from second 5 on
 *   @1-1.2 gpu.0.used = 4G..8G          a ramp, its end value stays
 *   @2-2.03 gpu.0.used += 4G            for 30 ms
 *   error.FUNCTION[.GPU] = GPU_IS_LOST  an NVML error code by name or number; FUNCTION * is all of them
 *   latency.FUNCTION = 0.002            seconds each call takes; rm_lock = 1: one call at a time, as in the driver
 */
#define _GNU_SOURCE
#include "fake_nvml.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct control *control;
struct state *state;

#define AS_NAME(name) #name,
static const char *function_names[] = {FUNCTIONS(AS_NAME)};
#define AS_FIELD_NAME(name, value) #name,
static const char *field_names[] = {FIELDS(AS_FIELD_NAME)};
#define AS_DEFAULT(name, value) value,
static const double defaults[] = {FIELDS(AS_DEFAULT)};

static const struct { const char *name; int code; } codes[] = {
    {"SUCCESS", 0}, {"UNINITIALIZED", 1}, {"INVALID_ARGUMENT", 2}, {"NOT_SUPPORTED", 3}, {"NO_PERMISSION", 4},
    {"NOT_FOUND", 6}, {"DRIVER_NOT_LOADED", 9}, {"TIMEOUT", 10}, {"LIBRARY_NOT_FOUND", 12}, {"FUNCTION_NOT_FOUND", 13},
    {"GPU_IS_LOST", 15}, {"RESET_REQUIRED", 16}, {"LIB_RM_VERSION_MISMATCH", 18}, {"UNKNOWN", 999},
};

uint64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int code_of(const char *text) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (!strcmp(text, codes[i].name)) return codes[i].code;
    return atoi(text);
}

static double number(const char *text, char **end) {
    if (!strncmp(text, "na", 2)) {
        *end = (char *)text + 2;
        return NAN;
    }
    double value = strtod(text, end);
    const char *units = "KMGT", *unit = **end ? strchr(units, **end) : NULL;
    if (unit) {
        value = ldexp(value, 10 * (int)(unit - units + 1));
        ++*end;
    }
    return value;
}

static int index_of(const char *name, const char **names, int count) {
    for (int i = 0; i < count; i++)
        if (!strcmp(name, names[i])) return i;
    fprintf(stderr, "fake_nvml: no such name in the state file: %s\n", name);
    return -1;
}

static void set_field(struct gpu *gpu, const char *key, const char *value, int adds, double begin, double end) {
    char *rest;
    if (!strcmp(key, "name")) { snprintf(gpu->name, sizeof gpu->name, "%s", value); return; }
    if (!strcmp(key, "uuid")) { snprintf(gpu->uuid, sizeof gpu->uuid, "%s", value); return; }
    if (!strncmp(key, "proc.", 5)) {
        if (gpu->process_count < MAX_PROCESSES)
            gpu->processes[gpu->process_count++] = (struct process){
                (unsigned)atoi(key + 5), strcmp(value, "rest") ? number(value, &rest) : THE_REST};
        return;
    }
    int field = index_of(key, field_names, FIELD_COUNT);
    if (field < 0) return;
    double from = number(value, &rest), to = strncmp(rest, "..", 2) ? from : number(rest + 2, &rest);
    if (begin < 0) { gpu->base[field] = to; return; }
    if (gpu->event_count < MAX_EVENTS)
        gpu->events[gpu->event_count++] = (struct event){field, adds, strstr(value, "..") != NULL, begin, end, from, to};
    else fprintf(stderr, "fake_nvml: more than %d changes of one GPU in the state file\n", MAX_EVENTS);
}

static void set_function(struct state *new, char *key, const char *value, int is_error) {
    char *dot = strchr(key, '.');
    if (dot) *dot = 0;
    int all = !strcmp(key, "*"), only = all ? -1 : index_of(key, function_names, FUNCTION_COUNT);
    for (int f = 0; f < FUNCTION_COUNT; f++) {
        if (!all && f != only) continue;
        if (!is_error) new->latency[f] = atof(value);
        else if (dot) new->gpus[atoi(dot + 1) % MAX_GPUS].errors[f] = code_of(value);
        else new->errors[f] = code_of(value);
    }
}

static void set_key(struct state *new, char *key, const char *value, int adds, double begin, double end) {
    if (!strcmp(key, "gpus")) new->gpu_count = atoi(value) > MAX_GPUS ? MAX_GPUS : atoi(value);
    else if (!strcmp(key, "driver")) snprintf(new->driver, sizeof new->driver, "%s", value);
    else if (!strcmp(key, "cuda")) new->cuda = atoi(value);
    else if (!strcmp(key, "rm_lock")) new->rm_lock = atoi(value);
    else if (!strncmp(key, "error.", 6)) set_function(new, key + 6, value, 1);
    else if (!strncmp(key, "latency.", 8)) set_function(new, key + 8, value, 0);
    else if (!strncmp(key, "gpu.*.", 6))
        for (int i = 0; i < MAX_GPUS; i++) set_field(&new->gpus[i], key + 6, value, adds, begin, end);
    else if (!strncmp(key, "gpu.", 4)) {
        char *dot;
        long i = strtol(key + 4, &dot, 10);
        if (*dot == '.' && i >= 0 && i < MAX_GPUS) set_field(&new->gpus[i], dot + 1, value, adds, begin, end);
    } else fprintf(stderr, "fake_nvml: no such key in the state file: %s\n", key);
}

static char *trimmed(char *text) {
    while (*text == ' ' || *text == '\t') text++;
    char *end = text + strlen(text);
    while (end > text && strchr(" \t\r\n", end[-1])) *--end = 0;
    return text;
}

static void set_line(struct state *new, char *line) {
    double begin = -1, end = -1;
    if (*line == '@') {
        begin = strtod(line + 1, &line);
        if (*line == '-') end = strtod(line + 1, &line);
        line = trimmed(line);
    }
    char *equals = strchr(line, '=');
    if (!equals) return;
    int adds = equals > line && equals[-1] == '+';
    *(adds ? equals - 1 : equals) = 0;
    set_key(new, trimmed(line), trimmed(equals + 1), adds, begin, end);
}

static void load(FILE *file) {
    struct state *new = calloc(1, sizeof *new);
    char line[512];
    strcpy(new->driver, "580.95.05");
    new->cuda = 13000;
    new->gpu_count = 1;
    for (int i = 0; i < MAX_GPUS; i++) {
        snprintf(new->gpus[i].name, 96, "NVIDIA GeForce RTX 4070");
        snprintf(new->gpus[i].uuid, 96, "GPU-fa4e0000-0000-4000-8000-%012d", i);
        memcpy(new->gpus[i].base, defaults, sizeof defaults);
    }
    while (file && fgets(line, sizeof line, file))
        if (*trimmed(line) && *trimmed(line) != '#') set_line(new, trimmed(line));
    static struct state *previous; /* another thread may still read it */
    free(previous);
    previous = state;
    state = new;
}

static char folder[4096];

int remap(void) {
    const char *wanted = getenv("FAKE_NVML_DIR");
    char path[4200];
    if (control && !strcmp(folder, wanted ? wanted : "")) return 0;
    snprintf(folder, sizeof folder, "%s", wanted ? wanted : "");
    snprintf(path, sizeof path, "%s/control", folder);
    int fd = *folder ? open(path, O_RDWR) : -1, kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, kind, fd, 0);
    if (fd >= 0) close(fd);
    control = page == MAP_FAILED ? calloc(1, sizeof *control) : page; /* the old page stays: a hung call may look at it */
    if (!control->epoch) control->epoch = monotonic();
    return 1;
}

void refresh(void) {
    static uint64_t revision, looked;
    static struct stat before;
    static struct control *read_for;
    char path[4200];
    if (!control) remap();
    uint64_t now = monotonic();
    int fresh = state && read_for == control && revision == control->revision;
    if (fresh && now - looked < 50000000u) return;
    struct stat found = {0};
    snprintf(path, sizeof path, "%s/state", folder);
    int same = !stat(path, &found) && found.st_mtim.tv_nsec == before.st_mtim.tv_nsec && found.st_ino == before.st_ino &&
               found.st_mtim.tv_sec == before.st_mtim.tv_sec && found.st_size == before.st_size;
    looked = now;
    if (fresh && same) return;
    revision = control->revision;
    read_for = control;
    before = found;
    FILE *file = fopen(path, "r");
    load(file);
    if (file) fclose(file);
}

double field_now(int index, int field) {
    struct gpu *gpu = &state->gpus[index];
    uint64_t now = control->frozen ? control->frozen : monotonic();
    double value = gpu->base[field], t = (double)(int64_t)(now - control->epoch) * 1e-9;
    for (int i = 0; i < gpu->event_count; i++) {
        struct event *event = &gpu->events[i];
        int over = event->end >= 0 && t >= event->end;
        if (event->field != field || t < event->begin || (over && !event->lasts)) continue;
        if (event->adds) value += event->to;
        else if (event->end < 0 || over) value = event->to;
        else value = event->from + (event->to - event->from) * (t - event->begin) / (event->end - event->begin);
    }
    for (int i = 0; field == FIELD_used && i < SPIKES; i++)
        if (now >= control->spikes[index][i].begin && now < control->spikes[index][i].end)
            value += (double)control->spikes[index][i].bytes;
    return value;
}
