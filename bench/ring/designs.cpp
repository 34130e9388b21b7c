#include "bench/ring/designs.h"

#include "bench/ring/apart.h"
#include "bench/ring/design_rows.h"
#include "bench/ring/measure.h"

namespace millrace::bench {
namespace {

struct Apart64 : AsShipped {
    using Policy = Apart64Policy;
};
struct ReleaseEach : AsShipped {
    static constexpr std::uint64_t kLag = 1;
};
struct Release32 : AsShipped {
    static constexpr std::uint64_t kLag = 32;
};
struct Release512 : AsShipped {
    static constexpr std::uint64_t kLag = kCapacity / 8;
};
struct Ahead0 : AsShipped {
    using Policy = AskAhead<0>;
};
struct Ahead2 : AsShipped {
    using Policy = AskAhead<2>;
};
struct Ahead4 : AsShipped {
    using Policy = AskAhead<4>;
};
struct Ahead16 : AsShipped {
    using Policy = AskAhead<16>;
};
struct Ahead8Anyway : Ahead0 {
    static constexpr std::uint64_t kAheadAnyway = 8;
};
struct Ahead8AnywayReleaseEach : Ahead8Anyway {
    static constexpr std::uint64_t kLag = 1;
};
struct Look4 : AsShipped {
    static constexpr std::uint64_t kLook = 4;
};
struct ProducerDemotes : AsShipped {
    static constexpr Demote kDemote = Demote::Producer;
};
struct ConsumerDemotes : AsShipped {
    static constexpr Demote kDemote = Demote::Consumer;
};
struct Room512 : AsShipped {
    static constexpr std::uint64_t kRoom = kCapacity / 8;
};
struct PastCaches : AsShipped {
    static constexpr bool kNonTemporal = true;
};

struct Apart32Bit : ApartPlain {
    using Number = std::uint32_t;
};
struct Apart16Bit : ApartPlain {
    using Number = std::uint16_t;
};
template <class Apart>
struct Ahead8Free : Apart {
    static constexpr std::uint64_t kAhead = 8;
};
template <class Apart>
struct Look4There : Apart {
    static constexpr std::uint64_t kLook = 4;
};

template <std::size_t W>
using Batched32 = CursorBatched<W, 32>;

/// One group of turns.
class Table {
public:
    explicit Table(Bench& bench, std::string group) : bench_{bench}, group_{std::move(group)} {}

    template <class Queue, std::size_t W>
    void throughput(const char* name, Part part = Part::Variant, int pauses = 1) {
        const Setup s = bench_.setup(Mode::Threads, pauses);
        add(name, part,
            bench_.of_equal_time([s](std::uint64_t n) { return throughput_of<Queue, W>(s, n); }));
    }
    template <class Queue>
    void hop(const char* name, Part part = Part::Variant) {
        const Setup s = bench_.setup(Mode::Threads, 0);
        const std::uint64_t trips = bench_.count(100'000);
        add(name, part, [=](Series& all) { return round_trip<Queue>(s, trips, all.histogram); });
    }
    void run(const char* unit, bool higher) { bench_.turns(unit, higher, all_); }

private:
    void add(const char* name, Part part, std::function<Round(Series&)> round) {
        all_.push_back({group_, name, part, std::move(round)});
    }

    Bench& bench_;
    std::string group_;
    std::vector<Contender> all_;
};

template <std::size_t W>
void throughputs(Bench& bench) {
    Table t{bench, "designs " + std::to_string(W * 8) + " B"};
    t.throughput<Ours<W>, W>("millrace", Part::Ours);
    t.throughput<OursWholePayload<W>, W>("number beside the payload");
    t.throughput<CachedCursor<W>, W>("cached cursors");
    t.throughput<Batched32<W>, W>("both cursors every 32");
    const auto variant = [&]<class Change>(const char* name, int pauses = 1) {
        t.throughput<Changed<W, Change>, W>(name, Part::Variant, pauses);
    };
    variant.template operator()<AsShipped>("nothing changed");
    variant.template operator()<AsShipped>("no pause", 0);
    variant.template operator()<AsShipped>("8 pauses", 8);
    variant.template operator()<Apart64>("64 B apart");
    variant.template operator()<ReleaseEach>("release each");
    variant.template operator()<Release32>("release every 32 by hand");
    variant.template operator()<Release512>("release every 512");
    variant.template operator()<Room512>("full until 512 are free");
    variant.template operator()<Ahead0>("producer prefetches nothing");
    variant.template operator()<Ahead2>("producer prefetches 2 ahead");
    variant.template operator()<Ahead4>("producer prefetches 4 ahead");
    variant.template operator()<Ahead16>("producer prefetches 16 ahead");
    variant.template operator()<Ahead8Anyway>("producer prefetches 8 ahead, free or not");
    variant.template operator()<Ahead8AnywayReleaseEach>("the same, release each");
    variant.template operator()<Look4>("consumer prefetches 4 ahead");
    variant.template operator()<ProducerDemotes>("producer demotes the slot");
    variant.template operator()<ConsumerDemotes>("consumer demotes the slot");
    variant.template operator()<PastCaches>("non-temporal stores");
    const auto apart = [&]<class Change>(const char* name, int pauses = 1) {
        t.throughput<NumbersApart<W, Change>, W>(name, Part::Variant, pauses);
    };
    apart.template operator()<ApartPlain>("numbers apart, 8 a line");
    apart.template operator()<Apart32Bit>("numbers apart, 16 a line");
    apart.template operator()<Apart16Bit>("numbers apart, 32 a line");
    apart.template operator()<Apart16Bit>("apart, 32 a line, 8 pauses", 8);
    apart.template operator()<Ahead8Free<Apart16Bit>>("apart, 32, prefetch to write");
    apart.template operator()<Look4There<Apart16Bit>>("apart, 32, prefetch to read");
    apart.template operator()<Look4There<Ahead8Free<Apart16Bit>>>("apart, 32, prefetch both");
    t.run("M/s", true);
}

/// What a hop costs with those that may be faster in throughput, nothing else in the ring.
void hops(Bench& bench) {
    Table t{bench, "designs, hop 64 B"};
    t.hop<Ours<8>>("millrace", Part::Ours);
    t.hop<OursWholePayload<8>>("number beside the payload");
    t.hop<CachedCursor<8>>("cached cursors");
    t.hop<Changed<8, Apart64>>("64 B apart");
    t.hop<Changed<8, Ahead0>>("producer prefetches nothing");
    t.hop<Changed<8, Ahead2>>("producer prefetches 2 ahead");
    t.hop<Changed<8, Look4>>("consumer prefetches 4 ahead");
    t.hop<Changed<8, Ahead8Anyway>>("producer prefetches 8 ahead, free or not");
    t.hop<NumbersApart<8, ApartPlain>>("numbers apart, 8 a line");
    t.hop<NumbersApart<8, Apart16Bit>>("numbers apart, 32 a line");
    t.hop<NumbersApart<8, Look4There<Ahead8Free<Apart16Bit>>>>("apart, 32, prefetch both");
    t.run("ns", false);
}

}  // namespace

void run_designs(Bench& bench) {
    throughputs<8>(bench);
    throughputs<16>(bench);
    hops(bench);
}

}  // namespace millrace::bench
