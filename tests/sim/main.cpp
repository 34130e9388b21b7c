// simulate: long runs of the simulator. Prints the seed and the invariant of the first violation.
#include "tests/sim/world.h"

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
    using namespace millrace::sim;
    std::uint64_t seeds = 1000;
    std::uint64_t from = 1;
    std::string record;  // each world's journal is written to this path and its seed
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--seeds") == 0) {
            seeds = value;
        } else if (std::strcmp(argv[i], "--from") == 0) {
            from = value;
        } else if (std::strcmp(argv[i], "--signals") == 0) {
            options.signals = static_cast<std::uint32_t>(value);
        } else if (std::strcmp(argv[i], "--canary") == 0) {
            options.canary = static_cast<Canary>(value);
        } else if (std::strcmp(argv[i], "--trace") == 0) {
            options.trace = value != 0;
        } else if (std::strcmp(argv[i], "--record") == 0) {
            record = argv[i + 1];
        } else {
            std::cerr << argv[i]
                      << ": unknown; known are --seeds --from --signals --canary --trace NUMBER, "
                         "--record PATH\n";
            return 2;
        }
    }
    Summary all;
    for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
        options.seed = seed;
        try {
            World world{options};
            const Summary s = world.run();
            if (!record.empty() && !world.write_log(record + std::to_string(seed))) {
                std::cerr << record << seed << ": cannot be written\n";
                return 2;
            }
            all.records += s.records;
            all.orders += s.orders;
            all.executions += s.executions;
            all.in_doubt += s.in_doubt;
            all.engine_crashes += s.engine_crashes;
            all.host_crashes += s.host_crashes;
        } catch (const Violation& v) {
            std::cout << "seed " << seed << ": " << v.what() << "\n";
            return 1;
        }
    }
    std::cout << seeds << " seeds: records " << all.records << ", orders " << all.orders
              << ", executions " << all.executions << ", in doubt " << all.in_doubt
              << ", engine crashes " << all.engine_crashes << ", host crashes " << all.host_crashes
              << "\n";
    return 0;
}
