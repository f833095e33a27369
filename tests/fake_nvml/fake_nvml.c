/* A stand-in for libnvidia-ml.so.1, so that the real pynvml runs where there is no GPU.
 *
 * Written from the public NVML API reference and the structures of nvidia-ml-py. FAKE_NVML_DIR names a folder with a
 * text file `state` (state.c says what it holds) and a file `control` (struct control) that tests map too.
 */
#define _GNU_SOURCE
#include "fake_nvml.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>


pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t rm_lock = PTHREAD_MUTEX_INITIALIZER;
static char devices[MAX_GPUS];
static int users;
static uint64_t generation;

int gpu_of(Device device) {
    char *place = device;
    return place >= devices && place < devices + MAX_GPUS ? (int)(place - devices) : -2;
}

static void spend(double seconds, int locked) {
    uint64_t until = monotonic() + (uint64_t)(seconds * 1e9);
    struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (locked) pthread_mutex_lock(&rm_lock);
    if (seconds > 100e-6) nanosleep(&pause, NULL);
    while (monotonic() < until) {}
    if (locked) pthread_mutex_unlock(&rm_lock);
}

/* What every call does first: count, hang, take its time, fail as told. gpu is -1 for calls without a device. */
int enter(int function, int gpu, int needs_init) {
    struct timespec blink = {0, 500000};
    pthread_mutex_lock(&state_lock);
    if (!needs_init && remap()) users = 0;
    refresh();
    __atomic_fetch_add(&control->functions[function].calls, 1, __ATOMIC_RELAXED);
    if (gpu >= 0) __atomic_fetch_add(&control->gpu_calls[gpu], 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&state_lock);
    while (__atomic_load_n(&control->functions[function].hang, __ATOMIC_ACQUIRE)) nanosleep(&blink, NULL);
    pthread_mutex_lock(&state_lock);
    refresh();
    int locked = state->rm_lock, result = state->errors[function];
    double latency = state->latency[function];
    if (!result && needs_init && (!users || generation != control->generation)) result = UNINITIALIZED;
    if (!result && (gpu == -2 || gpu >= state->gpu_count)) result = INVALID_ARGUMENT;
    if (!result && gpu >= 0) result = state->gpus[gpu].errors[function];
    if (!result && gpu >= 0 && field_now(gpu, FIELD_lost) > 0) result = GPU_IS_LOST;
    pthread_mutex_unlock(&state_lock);
    if (latency > 0) spend(latency, locked);
    return result;
}

static double now_of(int gpu, int field) {
    pthread_mutex_lock(&state_lock);
    double value = field_now(gpu, field);
    pthread_mutex_unlock(&state_lock);
    return value;
}

int as_uint(int gpu, int field, unsigned *out) {
    double value = now_of(gpu, field);
    if (isnan(value)) return NOT_SUPPORTED;
    *out = (unsigned)value;
    return SUCCESS;
}

int as_ulong(int gpu, int field, unsigned long long *out) {
    double value = now_of(gpu, field);
    if (isnan(value)) return NOT_SUPPORTED;
    *out = (unsigned long long)value;
    return SUCCESS;
}

static int as_text(char *out, unsigned size, const char *text) {
    if (size <= strlen(text)) return INSUFFICIENT_SIZE;
    strcpy(out, text);
    return SUCCESS;
}

/* -- library and system ------------------------------------------------------------------------------------------ */

static int begin(int function) {
    int result = enter(function, -1, 0);
    if (result) return result;
    users = generation == control->generation ? users + 1 : 1;
    generation = control->generation;
    return SUCCESS;
}

int nvmlInit(void) { return begin(F_nvmlInit); }
int nvmlInit_v2(void) { return begin(F_nvmlInit_v2); }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return begin(F_nvmlInitWithFlags); }

int nvmlShutdown(void) {
    ENTER(nvmlShutdown, -1);
    users--;
    return SUCCESS;
}

const char *nvmlErrorString(int code) { (void)code; return "An error of the fake library"; }

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    ENTER(nvmlSystemGetDriverVersion, -1);
    return as_text(out, size, state->driver);
}

int nvmlSystemGetNVMLVersion(char *out, unsigned size) {
    ENTER(nvmlSystemGetNVMLVersion, -1);
    return as_text(out, size, "13.580.95.05");
}

int nvmlSystemGetCudaDriverVersion(int *out) {
    ENTER(nvmlSystemGetCudaDriverVersion, -1);
    *out = state->cuda;
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *out) {
    ENTER(nvmlSystemGetCudaDriverVersion_v2, -1);
    *out = state->cuda;
    return SUCCESS;
}

int nvmlSystemGetProcessName(unsigned pid, char *out, unsigned size) {
    (void)pid;
    ENTER(nvmlSystemGetProcessName, -1);
    return as_text(out, size, "python");
}

/* -- devices ------------------------------------------------------------------------------------------------------ */

#define COUNT(name) \
    int name(unsigned *out) { ENTER(name, -1); *out = (unsigned)state->gpu_count; return SUCCESS; }
COUNT(nvmlDeviceGetCount)
COUNT(nvmlDeviceGetCount_v2)

#define HANDLE(name) \
    int name(unsigned index, Device *out) { \
        ENTER(name, index < MAX_GPUS ? (int)index : -2); \
        *out = &devices[index]; \
        return SUCCESS; \
    }
HANDLE(nvmlDeviceGetHandleByIndex)
HANDLE(nvmlDeviceGetHandleByIndex_v2)

static void bus_of(int gpu, char *out) { snprintf(out, 32, "00000000:%02X:00.0", gpu + 1); }

static int find(const char *wanted, Device *out, int by_bus) {
    char bus[32];
    for (int i = 0; i < state->gpu_count; i++) {
        bus_of(i, bus);
        if (!strcmp(wanted, by_bus ? bus : state->gpus[i].uuid)) { *out = &devices[i]; return SUCCESS; }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device *out) {
    ENTER(nvmlDeviceGetHandleByUUID, -1);
    return find(uuid, out, 0);
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, Device *out) {
    ENTER(nvmlDeviceGetHandleByPciBusId_v2, -1);
    return find(bus, out, 1);
}

#define INDEX(name) \
    int name(Device device, unsigned *out) { ENTER(name, gpu_of(device)); *out = (unsigned)gpu_of(device); return SUCCESS; }
INDEX(nvmlDeviceGetIndex)
INDEX(nvmlDeviceGetMinorNumber)

#define TEXT(name, text) \
    int name(Device device, char *out, unsigned size) { ENTER(name, gpu_of(device)); return as_text(out, size, text); }
TEXT(nvmlDeviceGetName, state->gpus[gpu_of(device)].name)
TEXT(nvmlDeviceGetUUID, state->gpus[gpu_of(device)].uuid)
TEXT(nvmlDeviceGetSerial, "0000000000001")

struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };

int nvmlDeviceGetPciInfo_v3(Device device, struct pci *out) {
    ENTER(nvmlDeviceGetPciInfo_v3, gpu_of(device));
    memset(out, 0, sizeof *out);
    out->bus = (unsigned)gpu_of(device) + 1;
    out->id = 0x278610de;
    bus_of(gpu_of(device), out->bus_id);
    snprintf(out->legacy, sizeof out->legacy, "0000:%02X:00.0", out->bus);
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(Device device, int *major, int *minor) {
    ENTER(nvmlDeviceGetCudaComputeCapability, gpu_of(device));
    result = as_uint(gpu_of(device), FIELD_cc_major, (unsigned *)major);
    return result ? result : as_uint(gpu_of(device), FIELD_cc_minor, (unsigned *)minor);
}

#define UINT(name, field) \
    int name(Device device, unsigned *out) { ENTER(name, gpu_of(device)); return as_uint(gpu_of(device), FIELD_##field, out); }
UINT(nvmlDeviceGetComputeMode, compute_mode)
UINT(nvmlDeviceGetPersistenceMode, persistence)
UINT(nvmlDeviceGetDisplayMode, display_mode)
UINT(nvmlDeviceGetDisplayActive, display_active)
UINT(nvmlDeviceGetPerformanceState, pstate)
UINT(nvmlDeviceGetPowerManagementLimit, power_limit)
UINT(nvmlDeviceGetPowerManagementDefaultLimit, power_limit_default)
UINT(nvmlDeviceGetEnforcedPowerLimit, power_limit)
UINT(nvmlDeviceGetPowerUsage, power)
UINT(nvmlDeviceGetFanSpeed, fan)
UINT(nvmlDeviceGetCurrPcieLinkGeneration, pcie_gen)
UINT(nvmlDeviceGetMaxPcieLinkGeneration, pcie_max_gen)
UINT(nvmlDeviceGetCurrPcieLinkWidth, pcie_width)
UINT(nvmlDeviceGetMaxPcieLinkWidth, pcie_max_width)
UINT(nvmlDeviceGetPcieReplayCounter, pcie_replay)

#define ULONG(name, field) \
    int name(Device device, unsigned long long *out) { ENTER(name, gpu_of(device)); return as_ulong(gpu_of(device), FIELD_##field, out); }
ULONG(nvmlDeviceGetTotalEnergyConsumption, energy)
ULONG(nvmlDeviceGetCurrentClocksThrottleReasons, throttle)
ULONG(nvmlDeviceGetCurrentClocksEventReasons, throttle)

#define CODEC(name, field) \
    int name(Device device, unsigned *out, unsigned *period) { \
        ENTER(name, gpu_of(device)); \
        *period = 167000; \
        return as_uint(gpu_of(device), FIELD_##field, out); \
    }
CODEC(nvmlDeviceGetEncoderUtilization, encoder)
CODEC(nvmlDeviceGetDecoderUtilization, decoder)

#define BY_KIND(name, first, kinds) \
    int name(Device device, unsigned kind, unsigned *out) { \
        ENTER(name, gpu_of(device)); \
        return kind < (kinds) ? as_uint(gpu_of(device), FIELD_##first + (int)kind, out) : INVALID_ARGUMENT; \
    }
BY_KIND(nvmlDeviceGetTemperature, temp, 1)
BY_KIND(nvmlDeviceGetTemperatureThreshold, temp_shutdown, 2)
BY_KIND(nvmlDeviceGetClockInfo, clock_graphics, 4)
BY_KIND(nvmlDeviceGetMaxClockInfo, max_clock_graphics, 4)
BY_KIND(nvmlDeviceGetPcieThroughput, pcie_tx, 2)

int nvmlDeviceGetPowerManagementLimitConstraints(Device device, unsigned *least, unsigned *most) {
    ENTER(nvmlDeviceGetPowerManagementLimitConstraints, gpu_of(device));
    result = as_uint(gpu_of(device), FIELD_power_limit_min, least);
    return result ? result : as_uint(gpu_of(device), FIELD_power_limit_max, most);
}

struct temperature { unsigned version, sensor; int celsius; };

int nvmlDeviceGetTemperatureV(Device device, struct temperature *out) {
    ENTER(nvmlDeviceGetTemperatureV, gpu_of(device));
    return as_uint(gpu_of(device), FIELD_temp, (unsigned *)&out->celsius);
}

int nvmlDeviceGetUtilizationRates(Device device, unsigned out[2]) {
    ENTER(nvmlDeviceGetUtilizationRates, gpu_of(device));
    result = as_uint(gpu_of(device), FIELD_util, out);
    return result ? result : as_uint(gpu_of(device), FIELD_mem_util, out + 1);
}

/* Present but without an answer. nvitop takes the newest process structure to have grown where
 * nvmlDeviceGetConfComputeMemSizeInfo exists and nvmlDeviceGetRunningProcessDetailList does not. */
#define UNSUPPORTED(name) \
    int name(Device device) { ENTER(name, gpu_of(device)); return NOT_SUPPORTED; }
UNSUPPORTED(nvmlDeviceGetRunningProcessDetailList)
UNSUPPORTED(nvmlDeviceGetConfComputeMemSizeInfo)
UNSUPPORTED(nvmlDeviceGetMigMode)
UNSUPPORTED(nvmlDeviceGetTotalEccErrors)
UNSUPPORTED(nvmlDeviceGetFieldValues)
UNSUPPORTED(nvmlDeviceGetDriverModel_v2)

#define ZERO(name) \
    int name(Device device, unsigned *out) { ENTER(name, gpu_of(device)); *out = 0; return SUCCESS; }
ZERO(nvmlDeviceGetMaxMigDeviceCount)
ZERO(nvmlDeviceIsMigDeviceHandle)
