// What the kernel says that a process is doing.
#pragma once

namespace millrace {

/// The letter in /proc/PID/stat, of that thread (a process's id is its main thread's): R runs, S
/// sleeps, T and t are stopped, D is in a system call that nothing interrupts: as a rule a disk
/// does not answer. @return 0 if there is no such process.
[[nodiscard]] char process_state(int pid);

}  // namespace millrace
