// replay_hash: a generated stream of records, or the records of live runs, through the engine;
// prints its hashes. Compiled by every compiler and at every level that compare_hashes.sh finds;
// all must print the same, and for a live run what the live engine had come to.
//
//     replay_hash [FILE...]      files of simulate --record
#include <cstdio>
#include <cstring>
#include <memory>

#include "tests/engine/recorded_log.h"
#include "tests/engine/replay_stream.h"

namespace {

using namespace millrace;
using namespace millrace::test;

constexpr std::uint64_t kRecords = 60'000;

void print(const char* what, std::uint64_t records, Engine& engine, std::uint64_t way) {
    std::printf(
        "%s: records %llu orders %llu filled %llu state %016llx outputs %016llx way %016llx\n",
        what, static_cast<unsigned long long>(records),
        static_cast<unsigned long long>(engine.globals().orders_sent),
        static_cast<unsigned long long>(engine.globals().orders_filled),
        static_cast<unsigned long long>(engine.state_hash()),
        static_cast<unsigned long long>(engine.output_hash()),
        static_cast<unsigned long long>(way));
}

void generated() {
    const auto engine = std::make_unique<Engine>(kStreamCapacity);
    Generator stream;
    std::uint64_t way = 0;
    for (std::uint64_t n = 0; n < kRecords; ++n) {
        const JournalRecord r = stream.next(*engine);
        engine->apply(r, stream.out());
        if (n % 1'000 == 0) {
            way = mix64(way ^ engine->state_hash());
        }
    }
    print("generated", kRecords, *engine, way);
}

/// @return whether the live engine had come to the same.
bool recorded(const char* path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path, "rb"),
                                                               &std::fclose};
    RecordedLog head;
    if (file == nullptr || std::fread(&head, sizeof head, 1, file.get()) != 1) {
        std::fprintf(stderr, "replay_hash: %s cannot be read\n", path);
        return false;
    }
    const auto engine =
        std::make_unique<Engine>(Capacity{head.accounts, head.members, head.orders, head.signals});
    StreamPort out;
    std::uint64_t read = 0;
    std::uint64_t way = 0;
    for (JournalRecord r; std::fread(&r, sizeof r, 1, file.get()) == 1; ++read) {
        engine->apply(r, out);
        if (read % 100 == 0) {
            way = mix64(way ^ engine->state_hash());
        }
    }
    const char* const name = std::strrchr(path, '/');
    print(name != nullptr ? name + 1 : path, read, *engine, way);
    const bool same = read == head.records && engine->state_hash() == head.state_hash &&
                      engine->output_hash() == head.output_hash;
    if (!same) {
        std::fprintf(stderr, "replay_hash: %s: the live engine had come to another state\n", path);
    }
    return same;
}

}  // namespace

int main(int argc, char** argv) {
    bool same = true;
    if (argc == 1) {
        generated();
    }
    for (int i = 1; i < argc; ++i) {
        same = recorded(argv[i]) && same;
    }
    return same ? 0 : 1;
}
