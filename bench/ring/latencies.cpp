#include "bench/ring/latencies.h"

#include "bench/ring/measure.h"

#include <type_traits>

namespace millrace::bench {
namespace {

/// In 200 ms there is nearly always somebody else's turn, and to choose rounds until there is none
/// would choose the tail.
constexpr int kAttemptsLong = 2;

template <class Measure>
void latencies(Bench& bench, Mode mode, const std::string& group, bool limit, int attempts,
               Measure measure) {
    const Setup s = bench.setup(mode, 0);
    std::vector<Contender> all;
    const auto add = [&]<class Queue>(const char* name, Part part, std::type_identity<Queue> type) {
        if (mode == Mode::Threads || Queue::kProcesses) {
            all.push_back({group, name, part,
                           [=](Series& series) { return measure(type, s, series.histogram); }});
        }
    };
    if (limit) {
        add("bare cache-line hand-off", Part::Limit, std::type_identity<HandOff>{});
    }
    add("cached cursors", Part::Rival, std::type_identity<CachedCursor<8>>{});
    add("boost::lockfree::spsc_queue", Part::Rival, std::type_identity<Boost<8>>{});
    add("moodycamel::ReaderWriterQueue", Part::Rival, std::type_identity<Moodycamel<8>>{});
    add("millrace", Part::Ours, std::type_identity<Ours<8>>{});
    bench.turns("ns", false, all, attempts);
}

}  // namespace

void run_latencies(Bench& bench, Mode mode) {
    const std::string label = mode == Mode::Threads ? ", threads" : ", processes";
    const std::uint64_t trips = bench.count(500'000);  // of 0.3 to 0.6 us
    latencies(bench, mode, "hop 64 B, round trip / 2" + label, true, kAttemptsLong,
              [=]<class Q>(std::type_identity<Q>, const Setup& s, Hdr& h) {
                  return round_trip<Q>(s, trips, h);
              });
    const std::uint64_t messages = bench.count(200'000);
    latencies(bench, mode, "one way 64 B, 1 M/s" + label, true, kAttemptsLong,
              [=]<class Q>(std::type_identity<Q>, const Setup& s, Hdr& h) {
                  return one_way<Q>(s, messages, 1000.0, h);
              });
    const std::uint64_t saturated = bench.count(20'000);
    latencies(bench, mode, "one way 64 B, saturated" + label, false, Bench::kAsOftenAsAllowed,
              [=]<class Q>(std::type_identity<Q>, const Setup& s, Hdr& h) {
                  return one_way<Q>(s, saturated, 0.0, h);
              });
}

}  // namespace millrace::bench
