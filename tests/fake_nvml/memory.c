/* Memory and process lists: the structures as nvidia-ml-py declares them. */
#define _GNU_SOURCE
#include "fake_nvml.h"

#include <math.h>

struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };

/* v1 counts the driver's reserved part as used, v2 tells it apart. */
int nvmlDeviceGetMemoryInfo(Device device, struct memory *out) {
    ENTER(nvmlDeviceGetMemoryInfo, gpu_of(device));
    unsigned long long reserved = 0;
    if (as_ulong(gpu_of(device), FIELD_used, &out->used) || as_ulong(gpu_of(device), FIELD_total, &out->total))
        return NOT_SUPPORTED;
    as_ulong(gpu_of(device), FIELD_reserved, &reserved);
    out->used += reserved;
    out->free = out->total > out->used ? out->total - out->used : 0;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(Device device, struct memory_v2 *out) {
    ENTER(nvmlDeviceGetMemoryInfo_v2, gpu_of(device));
    if (out->version != 0x02000028u) return VERSION_MISMATCH;
    if (as_ulong(gpu_of(device), FIELD_used, &out->used) || as_ulong(gpu_of(device), FIELD_total, &out->total))
        return NOT_SUPPORTED;
    out->reserved = 0;
    as_ulong(gpu_of(device), FIELD_reserved, &out->reserved);
    unsigned long long taken = out->used + out->reserved;
    out->free = out->total > taken ? out->total - taken : 0;
    return SUCCESS;
}

int nvmlDeviceGetBAR1MemoryInfo(Device device, struct memory *out) {
    ENTER(nvmlDeviceGetBAR1MemoryInfo, gpu_of(device));
    if (as_ulong(gpu_of(device), FIELD_bar1_total, &out->total) || as_ulong(gpu_of(device), FIELD_bar1_used, &out->used))
        return NOT_SUPPORTED;
    out->free = out->total - out->used;
    return SUCCESS;
}

struct process_info { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; };

static int list(int gpu, unsigned *count, struct process_info *out) {
    pthread_mutex_lock(&state_lock);
    struct gpu *found = &state->gpus[gpu];
    unsigned room = *count, needed = (unsigned)found->process_count;
    *count = needed;
    double rest = field_now(gpu, FIELD_used);
    for (unsigned i = 0; i < needed; i++)
        if (found->processes[i].used > 0) rest -= found->processes[i].used;
    for (unsigned i = 0; out && needed <= room && i < needed; i++) {
        double used = found->processes[i].used == THE_REST ? (rest > 0 ? rest : 0) : found->processes[i].used;
        out[i] = (struct process_info){found->processes[i].pid, isnan(used) ? ~0ull : (unsigned long long)used, ~0u, ~0u};
    }
    pthread_mutex_unlock(&state_lock);
    return needed > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define PROCESSES(name) \
    int name(Device device, unsigned *count, struct process_info *out) { \
        ENTER(name, gpu_of(device)); \
        return list(gpu_of(device), count, out); \
    }
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3)

#define NO_PROCESSES(name) \
    int name(Device device, unsigned *count, struct process_info *out) { \
        (void)out; \
        ENTER(name, gpu_of(device)); \
        *count = 0; \
        return SUCCESS; \
    }
NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2)
NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3)
NO_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3)

struct process_sample { unsigned pid; unsigned long long at; unsigned sm, memory, encoder, decoder; };

int nvmlDeviceGetProcessUtilization(Device device, struct process_sample *out, unsigned *count, unsigned long long since) {
    (void)since;
    ENTER(nvmlDeviceGetProcessUtilization, gpu_of(device));
    struct process_info found[MAX_PROCESSES];
    unsigned room = *count, needed = MAX_PROCESSES;
    list(gpu_of(device), &needed, found);
    *count = needed;
    if (!needed) return NOT_FOUND;
    if (!out || room < needed) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < needed; i++)
        out[i] = (struct process_sample){found[i].pid, monotonic() / 1000, 10, 5, 0, 0};
    return SUCCESS;
}
