// `millrace inspect`: looks at a segment, read-only, whether its pipeline lives or not.
#pragma once

namespace millrace::inspect {

/// Runs one command line; argv[0] is the command's own name ("inspect").
/// @return an Exit of command.h: 0; 1 found wrong, different, not in time; 2 a wrong command line;
/// 3 no segment or journal that can be read. stderr says what and how to mend it.
/// Threads: one at a time; takes over terminal and SIGINT, SIGTERM, SIGWINCH while `top` runs.
int inspect_main(int argc, const char* const* argv);

}  // namespace millrace::inspect

namespace millrace {
using inspect::inspect_main;
}  // namespace millrace
