// The operations that are measured one by one.
#pragma once

namespace millrace::bench {

/// Registers all of them with Google Benchmark, each under what it does.
void register_operations();

}  // namespace millrace::bench
