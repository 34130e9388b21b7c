#include "bench/ring/designs.h"

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
struct Ahead2 : AsShipped {
    static constexpr std::uint64_t kAhead = 2;
};
struct Ahead16 : AsShipped {
    static constexpr std::uint64_t kAhead = 16;
};
struct Ahead2Free : Ahead2 {
    static constexpr bool kAheadIfFree = true;
};
struct Ahead16Free : Ahead16 {
    static constexpr bool kAheadIfFree = true;
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

template <std::size_t W>
using Batched32 = CursorBatched<W, 32>;

template <std::size_t W>
class Table {
public:
    explicit Table(Bench& bench) : bench_{bench} {}

    template <template <std::size_t> class Queue>
    void queue(const char* name, Part part, int pauses = 1) {
        const Setup s = bench_.setup(Mode::Threads, pauses);
        const std::uint64_t n = bench_.count(60'000);
        all_.push_back({group(), name, part, [=](Series&) { return throughput<Queue, W>(s, n); }});
    }
    template <class Change>
    void variant(const char* name, int pauses = 1) {
        const Setup s = bench_.setup(Mode::Threads, pauses);
        const std::uint64_t n = bench_.count(60'000);
        all_.push_back({group(), name, Part::Variant,
                        [=](Series&) { return throughput_of<Changed<W, Change>, W>(s, n); }});
    }
    void run() { bench_.turns("M/s", true, all_); }

private:
    static std::string group() { return "designs " + std::to_string(W * 8) + " B"; }
    Bench& bench_;
    std::vector<Contender> all_;
};

template <std::size_t W>
void designs(Bench& bench) {
    Table<W> t{bench};
    t.template queue<Ours>("millrace", Part::Ours);
    t.template queue<CachedCursor>("cached cursors", Part::Variant);
    t.template queue<Batched32>("both cursors every 32", Part::Variant);
    t.template variant<AsShipped>("nothing changed");
    t.template variant<AsShipped>("no pause", 0);
    t.template variant<AsShipped>("8 pauses", 8);
    t.template variant<Apart64>("64 B apart");
    t.template variant<ReleaseEach>("release each");
    t.template variant<Release32>("release every 32 by hand");
    t.template variant<Release512>("release every 512");
    t.template variant<Room512>("full until 512 are free");
    t.template variant<Ahead2>("producer prefetches 2 ahead");
    t.template variant<Ahead16>("producer prefetches 16 ahead");
    t.template variant<Ahead2Free>("producer prefetches 2 ahead if free");
    t.template variant<Ahead16Free>("producer prefetches 16 ahead if free");
    t.template variant<Look4>("consumer prefetches 4 ahead");
    t.template variant<ProducerDemotes>("producer demotes the slot");
    t.template variant<ConsumerDemotes>("consumer demotes the slot");
    t.template variant<PastCaches>("non-temporal stores");
    t.run();
}

}  // namespace

void run_designs(Bench& bench) {
    designs<8>(bench);
    designs<16>(bench);
}

}  // namespace millrace::bench
