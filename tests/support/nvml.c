/* The few calls of NVML that are asked for, of devices that a file describes: a line "TOTAL FREE" each, in bytes.
   In place of a driver, which the machines that test this have not. FAKE_NVML names the file. */
#include <stdio.h>
#include <stdlib.h>

typedef struct { unsigned long long total, free, used; } Memory;
enum { DONE = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6 };

static int line(unsigned long wanted, Memory *memory) {
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    Memory found = {0, 0, 0};
    unsigned long number = 0;
    if (!file) return 0;
    while (fscanf(file, "%llu %llu", &found.total, &found.free) == 2 && number++ < wanted)
        if (number == wanted && memory) { *memory = found; memory->used = found.total - found.free; }
    fclose(file);
    return (int)number;
}

int nvmlInit_v2(void) { return DONE; }
int nvmlInitWithFlags(unsigned flags) { return DONE; }
int nvmlShutdown(void) { return DONE; }
const char *nvmlErrorString(int code) { return "an error of the library of a test"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)line(1000, NULL); return DONE; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(size_t)(index + 1); return DONE; }
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) { return NOT_SUPPORTED; }
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-test-%lu", (unsigned long)(size_t)device - 1);
    return DONE;
}
int nvmlDeviceGetName(void *device, char *name, unsigned length) { snprintf(name, length, "H0"); return DONE; }
int nvmlDeviceGetMemoryInfo(void *device, Memory *memory) {
    return line((unsigned long)(size_t)device, memory) ? DONE : NOT_FOUND;
}
