// Goal: no wake is lost, whoever is killed wherever, and each fence of the hand-shake is needed.
// Method: the production steps (shm/doorbell_protocol.h) on the explorer's atomics, with futex,
// membarrier and its fall-back modelled, and without any timeout: a lost wake is a thread that
// sleeps for ever. Then the fences are taken away one by one, and the steps changed.
#include "shm/doorbell_protocol.h"
#include "tests/model/atomics.h"
#include "tests/model/report.h"

#include <gtest/gtest.h>

namespace millrace::model {
namespace {

using Word = Atomic<std::uint32_t>;

struct Bell {
    Word armed;
    Word rings;
};

template <bool kMembarrier>
struct ModelHost {
    static bool has_membarrier() { return kMembarrier; }
    static void heavy_fence(Here here = Here::current()) { model::heavy_fence(here); }
    static void light_fence(Here here = Here::current()) { model::light_fence(here); }
    static void full_fence(Here here = Here::current()) { fence(std::memory_order_seq_cst, here); }
    static void wait(Word& word, std::uint32_t seen, Nanos, Here here = Here::current()) {
        futex_wait(word.location(), seen, here);
    }
    static void wake(Word& word, Here here = Here::current()) { futex_wake(word.location(), here); }
};

/// The steps as they are, and changed ones that must be found out.
enum class Variant {
    AsWritten,
    ClearsBeforeBump,     // a ringer killed between the two takes the wake with it
    ClearsWithoutTicket,  // hits the next arming
    WakesBeforeBump,
    SleepsWithoutLook,
    LooksBeforeArming,
    ReadsRingsAfterLook,  // a bump in between is forgotten
};

template <class Host>
void ring_changed(Variant v, Bell& bell) {
    if (v != Variant::ClearsBeforeBump && v != Variant::ClearsWithoutTicket &&
        v != Variant::WakesBeforeBump) {
        detail::ring_bell<Host>(bell);
        return;
    }
    Host::light_fence();
    if (bell.armed.load(std::memory_order_relaxed) == 0) {
        return;
    }
    if (v == Variant::ClearsBeforeBump) {
        bell.armed.store(0, std::memory_order_relaxed);
    }
    if (v == Variant::WakesBeforeBump) {
        Host::wake(bell.rings);
    }
    // Release, with the acquire in wait_changed(): clearing first needs them even without deaths.
    bell.rings.fetch_add(1, std::memory_order_release);
    if (v != Variant::WakesBeforeBump) {
        Host::wake(bell.rings);
    }
    if (v == Variant::ClearsWithoutTicket) {
        bell.armed.store(0, std::memory_order_relaxed);
    }
}

template <class Host, class Idle>
void wait_changed(Variant v, Bell& bell, Idle&& idle) {
    if (v == Variant::SleepsWithoutLook) {
        detail::wait_on_bell<Host>(bell, {}, [] { return true; });
    } else if (v == Variant::LooksBeforeArming) {
        const bool nothing = idle();
        detail::wait_on_bell<Host>(bell, {}, [nothing] { return nothing; });
    } else if (v == Variant::ClearsBeforeBump) {
        const std::uint32_t seen = bell.rings.load(std::memory_order_acquire);
        detail::arm_bell<Host>(bell);
        if (idle()) {
            Host::wait(bell.rings, seen, {});
        }
        bell.armed.store(0, std::memory_order_relaxed);
    } else if (v == Variant::ReadsRingsAfterLook) {
        detail::arm_bell<Host>(bell);
        if (idle()) {
            Host::wait(bell.rings, bell.rings.load(std::memory_order_relaxed), {});
        }
        bell.armed.store(0, std::memory_order_relaxed);
    } else {
        detail::wait_on_bell<Host>(bell, {}, idle);
    }
}

/// Who pays for the hand-shake, which each process decides for itself.
enum class Ends {
    Membarrier,     // the sleeper; ringers have no fence
    Fences,         // each for itself
    RingerFences,   // ringer 0, beside a sleeper with membarrier; ringer 1 has no fence. (Commands
                    // like `millrace kill` never call doorbell_setup().)
    SleeperFences,  // the sleeper only, which is not enough: it naps (shm/doorbell.cpp)
};

struct BellCase {
    const char* name;
    Ends ends = Ends::Membarrier;
    std::uint64_t items = 2;  // of each producer
    int producers = 1;
    int producer_heirs = 0;
    int sleeper_heirs = 0;
    unsigned deaths = 0;
    unsigned spurious = 0;
    Variant variant = Variant::AsWritten;
};

struct Shared {
    Bell* bell;
    Atomic<std::uint64_t>* published[2];  // one word for each producer
};

template <class Host>
void produce(const Shared& s, const BellCase& c, int which, bool heir) {
    auto& published = *s.published[which];
    std::uint64_t n = published.newest();  // an heir finds its place (RingProducer::attach)
    if (heir) {
        ring_changed<Host>(c.variant, *s.bell);  // its predecessor may owe a wake
    }
    while (n < c.items) {
        checkpoint(&n, sizeof n);
        // Release: the record itself, as RingProducer::commit().
        published.store(++n, std::memory_order_release);
        ring_changed<Host>(c.variant, *s.bell);
    }
}

template <class Host>
void sleep_and_consume(const Shared& s, const BellCase& c) {
    struct {
        std::uint64_t seen[2] = {0, 0};
    } at;
    const auto fresh = [&] {
        for (int i = 0; i < c.producers; ++i) {
            if (s.published[i]->load(std::memory_order_acquire) != at.seen[i]) {
                return true;
            }
        }
        return false;
    };
    while (at.seen[0] < c.items || (c.producers > 1 && at.seen[1] < c.items)) {
        checkpoint(&at, sizeof at);
        for (int i = 0; i < c.producers; ++i) {
            at.seen[i] = s.published[i]->load(std::memory_order_acquire);
        }
        if (at.seen[0] < c.items || (c.producers > 1 && at.seen[1] < c.items)) {
            wait_changed<Host>(c.variant, *s.bell, [&] { return !fresh(); });
        }
    }
}

template <class First, class Second, class Sleeper>
void build(World& world, const BellCase& c) {
    Shared s{world.make<Bell>(), {world.make<Atomic<std::uint64_t>>(), nullptr}};
    s.published[1] = c.producers > 1 ? world.make<Atomic<std::uint64_t>>() : nullptr;
    s.bell->armed.named("armed");
    s.bell->rings.named("rings");
    s.published[0]->named("published");
    for (int which = 0; which < c.producers; ++which) {
        const bool mortal = which == 0 && c.producer_heirs > 0;
        const auto life = [s, c, which](bool heir) {
            which == 0 ? produce<First>(s, c, which, heir) : produce<Second>(s, c, which, heir);
        };
        int before =
            world.thread({"ringer " + std::to_string(which), -1, mortal}, [life] { life(false); });
        for (int i = 0; mortal && i < c.producer_heirs; ++i) {
            before = world.thread({"ringer's heir", before, i + 1 < c.producer_heirs},
                                  [life] { life(true); });
        }
    }
    int before = world.thread({"sleeper", -1, c.sleeper_heirs > 0},
                              [s, c] { sleep_and_consume<Sleeper>(s, c); });
    for (int i = 0; i < c.sleeper_heirs; ++i) {
        before = world.thread({"sleeper's heir", before, i + 1 < c.sleeper_heirs},
                              [s, c] { sleep_and_consume<Sleeper>(s, c); });
    }
}

Scenario scenario_of(const BellCase& c) {
    return {c.name, {.deaths = c.deaths, .spurious_wakes = c.spurious}, [c](World& world) {
                using Light = ModelHost<true>;
                using Full = ModelHost<false>;
                switch (c.ends) {
                    case Ends::Membarrier: return build<Light, Light, Light>(world, c);
                    case Ends::Fences: return build<Full, Full, Full>(world, c);
                    case Ends::RingerFences: return build<Full, Light, Light>(world, c);
                    case Ends::SleeperFences: return build<Light, Light, Full>(world, c);
                }
            }};
}

std::vector<BellCase> cases() {
    std::vector<BellCase> all{
        {.name = "2 hand-offs, membarrier"},
        {.name = "2 hand-offs, fences", .ends = Ends::Fences},
        {.name = "a spurious wake, membarrier", .spurious = 1},
        {.name = "a spurious wake, fences", .ends = Ends::Fences, .spurious = 1},
        {.name = "two ringers, membarrier", .items = 1, .producers = 2},
        {.name = "sleeper killed anywhere, membarrier", .sleeper_heirs = 1, .deaths = 1},
        {.name = "sleeper killed anywhere, fences",
         .ends = Ends::Fences,
         .sleeper_heirs = 1,
         .deaths = 1},
        {.name = "ringer killed anywhere, membarrier", .producer_heirs = 1, .deaths = 1},
        {.name = "ringer killed anywhere, fences",
         .ends = Ends::Fences,
         .producer_heirs = 1,
         .deaths = 1},
        {.name = "either killed anywhere", .producer_heirs = 1, .sleeper_heirs = 1, .deaths = 2},
        {.name = "ringer by fence, sleeper by membarrier", .ends = Ends::RingerFences},
        {.name = "ringer by fence killed anywhere",
         .ends = Ends::RingerFences,
         .producer_heirs = 1,
         .deaths = 1},
        {.name = "ringer by fence, one without, membarrier",
         .ends = Ends::RingerFences,
         .items = 1,
         .producers = 2},
    };
    if (long_run()) {
        all.push_back({.name = "3 hand-offs, membarrier", .items = 3, .spurious = 1});
        all.push_back({.name = "two ringers, 2 hand-offs each", .items = 2, .producers = 2});
    }
    return all;
}

std::vector<Scenario> scenarios() {
    std::vector<Scenario> all;
    for (const BellCase& c : cases()) {
        all.push_back(scenario_of(c));
    }
    return all;
}

TEST(DoorbellModel, LosesNoWakeWhoeverIsKilledWherever) {
    for (const Scenario& s : scenarios()) {
        EXPECT_TRUE(holds(s)) << s.name;
    }
}

TEST(DoorbellModel, WouldLoseAWakeToASleeperWithoutMembarrierIfItDidNotNap) {
    EXPECT_TRUE(is_caught(explore(scenario_of({.name = "blind", .ends = Ends::SleeperFences}))))
        << "then a process that is refused the barrier need not nap (shm/doorbell.cpp)";
}

TEST(DoorbellModel, EveryFenceIsNeeded) {
    for (const Scenario& s : scenarios()) {
        ASSERT_FALSE(explore(s).violated) << s.name;  // learns the sites
    }
    EXPECT_EQ(unexplored_lines("shm/doorbell_protocol.h"), std::vector<std::string>{});
    EXPECT_EQ(survivors("shm/doorbell_protocol.h", scenarios()), std::vector<std::string>{});
}

TEST(DoorbellModel, EveryChangedStepIsFoundOut) {
    const std::pair<Variant, const char*> changes[] = {
        {Variant::ClearsBeforeBump, "clears before it bumps"},
        {Variant::ClearsWithoutTicket, "clears whatever ticket stands"},
        {Variant::WakesBeforeBump, "wakes before it bumps"},
        {Variant::SleepsWithoutLook, "sleeps without a last look"},
        {Variant::LooksBeforeArming, "takes the last look before it arms"},
        {Variant::ReadsRingsAfterLook, "reads rings after the look"},
    };
    for (const auto& [variant, name] : changes) {
        std::string caught;
        for (BellCase c : cases()) {
            c.variant = variant;
            const Outcome o = c.ends == Ends::Membarrier ? explore(scenario_of(c)) : Outcome{};
            if (is_caught(o)) {
                caught = std::string{c.name} + "\": " + o.what;
                break;
            }
        }
        std::printf("  ring that %-38s caught by \"%s\n", name, caught.c_str());
        EXPECT_FALSE(caught.empty()) << name;
    }
}

}  // namespace
}  // namespace millrace::model
