// The rows of throughput.h, for the two files that compile them; each names its build first.
#pragma once

#include "bench/ring/limits.h"
#include "bench/ring/throughput.h"

namespace millrace::bench::inline MILLRACE_BENCH_BUILD {

/// Adds rows to one group.
class Rows {
public:
    Rows(std::vector<Contender>& to, const Bench& bench, Mode mode, std::string group)
        : to_{to}, bench_{bench}, mode_{mode}, group_{std::move(group)} {}

    void add(const std::string& name, Part part, std::function<Round(Series&)> run) {
        to_.push_back({group_, name, part, std::move(run)});
    }

    /// With and without a pause; of rivals the better one counts, of ours the first.
    template <template <std::size_t> class Queue, std::size_t W>
    void one_by_one(const std::string& name, Part part) {
        if (mode_ == Mode::Processes && !Queue<W>::kProcesses) {
            return;
        }
        for (const int pauses : {1, 0}) {
            if (part == Part::Limit && pauses == 0) {
                continue;
            }
            const Setup s = bench_.setup(mode_, pauses);
            add(name + (pauses > 0 ? "" : ", no pause"),
                part == Part::Ours && pauses == 0 ? Part::Variant : part,
                bench_.of_equal_time([s](std::uint64_t n) { return throughput<Queue, W>(s, n); }));
        }
    }

    template <std::size_t W>
    void all_one_by_one() {
        const Setup s = bench_.setup(mode_, 1);
        const std::uint64_t laps = bench_.count(15);
        add("each end alone", Part::Limit,
            [s, laps](Series&) { return each_end_alone<WordByWord, W>(s, laps); });
        add("each end alone, all at once", Part::Limit,
            [s, laps](Series&) { return each_end_alone<AllAtOnce, W>(s, laps); });
        one_by_one<BareStream, W>("512-record stream", Part::Limit);
        one_by_one<CachedCursor, W>("cached cursors", Part::Rival);
        one_by_one<Boost, W>("boost::lockfree::spsc_queue", Part::Rival);
        one_by_one<Moodycamel, W>("moodycamel::ReaderWriterQueue", Part::Rival);
        one_by_one<Ours, W>("millrace", Part::Ours);
        one_by_one<OursReleasedEach, W>("millrace, released each", Part::Ours);
        one_by_one<OursWholePayload, W>("millrace, number beside the payload", Part::Ours);
    }

    template <std::size_t W>
    void batches() {
        constexpr std::size_t kBatch = 32;
        const Setup s = bench_.setup(mode_, 1);
        add("boost::lockfree::spsc_queue", Part::Rival, bench_.of_equal_time([s](std::uint64_t n) {
            return batch_throughput<Boost, W>(s, n, kBatch);
        }));
        add("cached cursors", Part::Rival, bench_.of_equal_time([s](std::uint64_t n) {
            return batch_throughput<CachedCursor, W>(s, n, kBatch);
        }));
        add("millrace", Part::Ours, bench_.of_equal_time([s](std::uint64_t n) {
            return batch_throughput<Ours, W>(s, n, kBatch);
        }));
    }

private:
    std::vector<Contender>& to_;
    const Bench& bench_;
    Mode mode_;
    std::string group_;
};

/// @param flags " at -O2" or nothing.
inline void add_rows(std::vector<Contender>& to, const Bench& bench, Mode mode, Load load,
                     const std::string& flags) {
    const bool small = load == Load::OneByOne64 || load == Load::Batches64;
    const bool one_by_one = load == Load::OneByOne64 || load == Load::OneByOne128;
    Rows rows{to, bench, mode,
              std::string{"throughput "} + (small ? "64" : "128") + " B" +
                  (one_by_one ? "" : ", batches") + flags +
                  (mode == Mode::Threads ? ", threads" : ", processes")};
    switch (load) {
        case Load::OneByOne64: return rows.all_one_by_one<8>();
        case Load::OneByOne128: return rows.all_one_by_one<16>();
        case Load::Batches64: return rows.batches<8>();
        case Load::Batches128: return rows.batches<16>();
    }
}

}  // namespace millrace::bench::inline MILLRACE_BENCH_BUILD
