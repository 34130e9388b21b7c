#include "bench/sinks/rounds.h"

#include "shm/clock.h"
#include "tests/sqlite/effects.h"

#include <cstdio>
#include <cstdlib>

namespace millrace::bench {

History::History(std::uint64_t records) {
    const Nanos base{wall_ns() / 1'000'000'000 * 1'000'000'000};
    for (std::uint64_t seq = 1; seq <= records; ++seq) {
        for (Effect e : sqlite_test::effects_of(seq)) {
            e.time = e.time + base;  // what ended is kept for a day from then
            effects_.push_back(e);
        }
        if (ends_.empty() || ends_.back() != effects_.size()) {
            ends_.push_back(effects_.size());
        }
    }
}

std::vector<History::Batch> History::batches(std::size_t rows) const {
    std::vector<Batch> all;
    std::size_t begin = 0;
    for (const std::size_t end : ends_) {
        if (end - begin >= rows || end == effects_.size()) {
            const std::uint64_t seq = effects_[end - 1].seq.value;
            all.push_back(
                {std::span{effects_}.subspan(begin, end - begin), sqlite_test::cursor_at(seq)});
            begin = end;
        }
    }
    return all;
}

void note(Results& results, const std::string& group, const std::string& name, Part part,
          std::size_t rows, std::int64_t ns) {
    Series& s = results.series(group, name, part, "k/s", true);
    s.rounds.push_back(static_cast<double>(rows) * 1e6 / static_cast<double>(ns));
    s.undisturbed.push_back(false);  // two processes or a disk: nobody is left alone here
}

void must(bool ok, const std::string& what, const std::string& message) {
    if (!ok) {
        std::fprintf(stderr, "bench_sinks: %s: %s\n", what.c_str(), message.c_str());
        std::exit(1);
    }
}

}  // namespace millrace::bench
