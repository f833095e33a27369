/* What the fake library's two halves share: functions, fields, the control page, the state. */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

#include <pthread.h>
#include <stdint.h>

#define MAX_GPUS 64
#define MAX_PROCESSES 64
#define MAX_EVENTS 1024
#define SPIKES 8
#define THE_REST -1.0 /* a process that holds what the others leave of what is used */

/* Every exported function, in the order of the control page. control.py reads this list. */
#define FUNCTIONS(F) \
    F(nvmlInit) F(nvmlInit_v2) F(nvmlInitWithFlags) F(nvmlShutdown) F(nvmlErrorString) F(nvmlSystemGetDriverVersion) \
    F(nvmlSystemGetNVMLVersion) F(nvmlSystemGetCudaDriverVersion) F(nvmlSystemGetCudaDriverVersion_v2) \
    F(nvmlSystemGetProcessName) F(nvmlDeviceGetCount) F(nvmlDeviceGetCount_v2) F(nvmlDeviceGetHandleByIndex) \
    F(nvmlDeviceGetHandleByIndex_v2) F(nvmlDeviceGetHandleByUUID) F(nvmlDeviceGetHandleByPciBusId_v2) \
    F(nvmlDeviceGetIndex) F(nvmlDeviceGetMinorNumber) F(nvmlDeviceGetName) F(nvmlDeviceGetUUID) \
    F(nvmlDeviceGetSerial) F(nvmlDeviceGetPciInfo_v3) F(nvmlDeviceGetCudaComputeCapability) \
    F(nvmlDeviceGetComputeMode) F(nvmlDeviceGetPersistenceMode) F(nvmlDeviceGetDisplayMode) \
    F(nvmlDeviceGetDisplayActive) F(nvmlDeviceGetPerformanceState) F(nvmlDeviceGetPowerManagementLimit) \
    F(nvmlDeviceGetEnforcedPowerLimit) F(nvmlDeviceGetPowerUsage) F(nvmlDeviceGetTotalEnergyConsumption) \
    F(nvmlDeviceGetFanSpeed) F(nvmlDeviceGetUtilizationRates) F(nvmlDeviceGetEncoderUtilization) \
    F(nvmlDeviceGetDecoderUtilization) F(nvmlDeviceGetMemoryInfo) F(nvmlDeviceGetMemoryInfo_v2) \
    F(nvmlDeviceGetBAR1MemoryInfo) F(nvmlDeviceGetTemperature) F(nvmlDeviceGetTemperatureV) \
    F(nvmlDeviceGetClockInfo) F(nvmlDeviceGetMaxClockInfo) F(nvmlDeviceGetCurrentClocksThrottleReasons) \
    F(nvmlDeviceGetCurrentClocksEventReasons) F(nvmlDeviceGetCurrPcieLinkGeneration) \
    F(nvmlDeviceGetMaxPcieLinkGeneration) F(nvmlDeviceGetCurrPcieLinkWidth) F(nvmlDeviceGetMaxPcieLinkWidth) \
    F(nvmlDeviceGetPcieThroughput) F(nvmlDeviceGetPcieReplayCounter) F(nvmlDeviceGetComputeRunningProcesses_v2) \
    F(nvmlDeviceGetComputeRunningProcesses_v3) F(nvmlDeviceGetGraphicsRunningProcesses_v2) \
    F(nvmlDeviceGetGraphicsRunningProcesses_v3) F(nvmlDeviceGetMPSComputeRunningProcesses_v3) \
    F(nvmlDeviceGetRunningProcessDetailList) F(nvmlDeviceGetProcessUtilization) F(nvmlDeviceGetMigMode) \
    F(nvmlDeviceGetMaxMigDeviceCount) F(nvmlDeviceIsMigDeviceHandle) F(nvmlDeviceGetTotalEccErrors) \
    F(nvmlDeviceGetFieldValues) F(nvmlDeviceGetDriverModel_v2) F(nvmlDeviceGetConfComputeMemSizeInfo) \
    F(nvmlDeviceGetPowerManagementDefaultLimit) F(nvmlDeviceGetPowerManagementLimitConstraints) \
    F(nvmlDeviceGetTemperatureThreshold)

#define AS_ENUM(name) F_##name,
enum function { FUNCTIONS(AS_ENUM) FUNCTION_COUNT };

/* Numeric fields of a GPU in the state file, with what they are when the file does not say. */
#define FIELDS(X) \
    X(total, 12884901888.0) X(used, 629145600.0) X(reserved, 209715200.0) X(util, 0) X(mem_util, 0) X(temp, 38) \
    X(power, 21000) X(power_limit, 200000) X(clock_graphics, 210) X(clock_sm, 210) X(clock_mem, 405) \
    X(clock_video, 555) X(max_clock_graphics, 3105) X(max_clock_sm, 3105) X(max_clock_mem, 10501) \
    X(max_clock_video, 2415) X(throttle, 1) X(cc_major, 8) X(cc_minor, 9) X(pcie_gen, 4) X(pcie_max_gen, 4) \
    X(pcie_width, 16) X(pcie_max_width, 16) X(pcie_tx, 1000) X(pcie_rx, 1000) X(pcie_replay, 0) X(fan, 30) \
    X(encoder, 0) X(decoder, 0) X(pstate, 8) X(energy, 1000000) X(bar1_total, 268435456.0) X(bar1_used, 2097152.0) \
    X(compute_mode, 0) X(persistence, 0) X(display_mode, 0) X(display_active, 0) X(lost, 0) \
    X(power_limit_default, 200000) X(power_limit_min, 100000) X(power_limit_max, 215000) X(temp_shutdown, 99) \
    X(temp_slowdown, 96)

#define AS_FIELD(name, value) FIELD_##name,
enum field { FIELDS(AS_FIELD) FIELD_COUNT };

/* The control page: a file mapped by the library and by tests. Times are CLOCK_MONOTONIC nanoseconds. */
struct control {
    uint64_t epoch;      /* time 0 of the state file's clock */
    uint64_t frozen;     /* when not 0, that clock stands at this time */
    uint64_t revision;   /* raised when the state file was rewritten */
    uint64_t generation; /* raised when the driver is reloaded: what was initialised before is not any more */
    uint64_t spare[4];
    struct { uint64_t calls, hang; } functions[128];
    uint64_t gpu_calls[MAX_GPUS];
    struct { uint64_t begin, end; int64_t bytes; uint64_t spare; } spikes[MAX_GPUS][SPIKES];
};

struct event {
    int field, adds, lasts;
    double begin, end, from, to;
};

struct process { unsigned pid; double used; };

struct gpu {
    char name[96], uuid[96];
    double base[FIELD_COUNT]; /* NAN: not supported */
    int errors[FUNCTION_COUNT], event_count, process_count;
    struct event events[MAX_EVENTS];
    struct process processes[MAX_PROCESSES];
};

struct state {
    char driver[80];
    int cuda, gpu_count, rm_lock, errors[FUNCTION_COUNT];
    double latency[FUNCTION_COUNT]; /* seconds */
    struct gpu gpus[MAX_GPUS];
};

typedef void *Device;

enum { SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15,
       VERSION_MISMATCH = 25 };

extern struct control *control;
extern struct state *state;

extern pthread_mutex_t state_lock;

uint64_t monotonic(void);
int remap(void);                      /* map the control page of FAKE_NVML_DIR; 1 when it is another one than before */
void refresh(void);                   /* read the state file again when it changed */
double field_now(int gpu, int field); /* the field at this moment, NAN when not supported */
int gpu_of(Device device);
int enter(int function, int gpu, int needs_init);
int as_uint(int gpu, int field, unsigned *out);
int as_ulong(int gpu, int field, unsigned long long *out);

/* How every exported function begins. */
#define ENTER(function, gpu) \
    int result = enter(F_##function, gpu, 1); \
    if (result) return result

#endif
