/* Ranks that wait leave their cores to whoever computes. scripts/mpirun.sh preloads this library.
 *
 * Waiting ranks poll. Open MPI calls sched_yield between two polls (mpi_yield_when_idle), which
 * suffices where all that want to run are ranks that wait for each other. Beside a program that
 * computes, each call costs a whole time slice, and a reduction needs many calls in turn: with seven
 * ranks and four busy loops on two cores an allreduce takes 10 to 100 ms instead of 0.04. A process
 * that sleeps is woken before a busy loop has used up its slice. So a rank whose yield took as long as
 * a slice sleeps between polls for the next second, and an allreduce takes 0.2 to 2 ms.
 *
 * MPICH over UCX, as Debian builds it, polls without ever giving up its core, and
 * MPIR_CVAR_POLLS_BEFORE_YIELD does not reach that loop: its polls are followed by a yield here.
 *
 * Where every rank has a core of its own and nothing else runs, nothing should wait this way.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* All in nanoseconds. */
static const int64_t SLICE = 500000;
static const int64_t PHASE = 1000000000;
static const long PAUSE = 50000;
/* By default timers are 50 us late. */
static const unsigned long SLACK = 1000;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return INT64_C(1000000000) * time.tv_sec + time.tv_nsec;
}

int sched_yield(void) {
    static _Thread_local int64_t end_of_phase;
    int64_t start = now();
    if (start < end_of_phase) {
        struct timespec pause = {0, PAUSE};
        nanosleep(&pause, NULL);
        return 0;
    }
    long result = syscall(SYS_sched_yield);
    int64_t end = now();
    if (end - start > SLICE) {
        if (!end_of_phase)
            prctl(PR_SET_TIMERSLACK, SLACK);
        end_of_phase = end + PHASE;
    }
    return (int)result;
}

typedef unsigned progress_function(void *worker);

/* A module of Python keeps its libraries to itself, where RTLD_NEXT does not look. */
static progress_function *ucx_progress(void) {
    void *found = dlsym(RTLD_NEXT, "ucp_worker_progress");
    if (!found)
        found = dlsym(dlopen("libucp.so.0", RTLD_LAZY | RTLD_NOLOAD), "ucp_worker_progress");
    return (progress_function *)found;
}

unsigned ucp_worker_progress(void *worker) {
    static progress_function *progress;
    if (!progress)
        progress = ucx_progress();
    unsigned events = progress(worker);
    if (!events)
        sched_yield();
    return events;
}
