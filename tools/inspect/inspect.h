// `millrace inspect`: looks at a segment, read-only, whether its pipeline lives or not.
#pragma once

namespace millrace::inspect {

/// Runs one command line; argv[0] is the command's own name ("inspect").
/// @return 0; 1: the segment could not be read (said on stderr, by name and with the mend);
/// 2: a wrong command line.
/// Threads: one at a time; takes over terminal and SIGINT, SIGTERM, SIGWINCH while `top` runs.
int inspect_main(int argc, const char* const* argv);

}  // namespace millrace::inspect

namespace millrace {
using inspect::inspect_main;
}  // namespace millrace
