// A broker stage in a process of its own, to be killed at the crash point that the environment
// names. Prints its port, then steps until somebody kills it.
#include "broker_world.h"

#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
    using namespace millrace;
    if (argc != 3) {
        std::fprintf(stderr, "usage: broker_victim SEGMENT ACCOUNTS\n");
        return 2;
    }
    std::string message;
    auto segment = Segment::attach(argv[1], Segment::Mode::ReadWrite, message);
    if (!segment) {
        std::fprintf(stderr, "%s\n", message.c_str());
        return 2;
    }
    BrokerOptions options;
    options.epoch = 5;
    options.find_account =
        test::lookup(static_cast<std::uint32_t>(std::stoul(argv[2])), GateLevel::Process);
    auto stage = BrokerStage::create(segment.value(), std::move(options), message);
    if (!stage) {
        std::fprintf(stderr, "%s\n", message.c_str());
        return 2;
    }
    std::printf("%u\n", stage.value()->port());
    std::fflush(stdout);
    const Clock clock = segment.value().clock();
    const Nanos end = clock.now() + seconds(30);  // an orphan ends by itself
    while (clock.now() < end) {
        if (stage.value()->step(clock.now()) == 0) {
            ::usleep(200);
        }
    }
    return 3;
}
