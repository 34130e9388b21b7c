// Goal: the explorer's memory is C++'s: it gives every outcome that the standard allows in the
// fragment modelled, and none that it forbids.
// Method: the classical litmus tests; each is explored and the set of its end results compared
// with the set the standard allows (names as in the literature: MP, SB, CoRR, IRIW, 2+2W).
#include "tests/model/atomics.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace millrace::model {
namespace {

using Order = std::memory_order;
constexpr Order kRelaxed = Order::relaxed;
constexpr Order kAcquire = Order::acquire;
constexpr Order kRelease = Order::release;
constexpr Order kSeqCst = Order::seq_cst;
using Word = Atomic<std::uint64_t>;

struct Vars {
    Word x, y;
    std::uint64_t r[4] = {9, 9, 9, 9};  // results; 9: not run
    std::uint64_t data = 0;
};

using Body = std::function<void(Vars&)>;

/// All end results "r0 r1 ..." of the program, or "!what" for a violation.
std::set<std::string> results(const std::vector<Body>& bodies, int registers, Limits limits = {}) {
    std::set<std::string> all;
    Scenario s{"litmus", limits, [&](World& world) {
                   auto* v = world.make<Vars>();
                   for (std::size_t t = 0; t < bodies.size(); ++t) {
                       world.thread({"t" + std::to_string(t)},
                                    [v, &body = bodies[t]] { body(*v); });
                   }
                   world.at_end([v, registers, &all] {
                       std::string text;
                       for (int i = 0; i < registers; ++i) {
                           text += (i == 0 ? "" : " ") + std::to_string(v->r[i]);
                       }
                       all.insert(text);
                   });
               }};
    const Outcome outcome = explore(s);
    if (outcome.violated) {
        all.insert("!" + outcome.what);
    }
    return all;
}

using Set = std::set<std::string>;

Set message_passing(Order store, Order load) {
    return results({[store](Vars& v) {
                        v.x.store(1, kRelaxed);
                        v.y.store(1, store);
                    },
                    [load](Vars& v) {
                        v.r[0] = v.y.load(load);
                        v.r[1] = v.x.load(kRelaxed);
                    }},
                   2);
}

TEST(Litmus, MessagePassingNeedsReleaseAndAcquire) {
    EXPECT_EQ(message_passing(kRelease, kAcquire), (Set{"0 0", "0 1", "1 1"}));
    const Set weak{"0 0", "0 1", "1 0", "1 1"};
    EXPECT_EQ(message_passing(kRelaxed, kAcquire), weak);
    EXPECT_EQ(message_passing(kRelease, kRelaxed), weak);
}

TEST(Litmus, FencesPassMessagesToo) {
    const Body writer = [](Vars& v) {
        v.x.store(1, kRelaxed);
        fence(kRelease);
        v.y.store(1, kRelaxed);
    };
    const Body reader = [](Vars& v) {
        v.r[0] = v.y.load(kRelaxed);
        fence(kAcquire);
        v.r[1] = v.x.load(kRelaxed);
    };
    EXPECT_EQ(results({writer, reader}, 2), (Set{"0 0", "0 1", "1 1"}));
}

using Fence = std::function<void()>;

Set store_buffering(const Fence& left, const Fence& right) {
    return results({[&left](Vars& v) {
                        v.x.store(1, kRelease);
                        left();
                        v.r[0] = v.y.load(kAcquire);
                    },
                    [&right](Vars& v) {
                        v.y.store(1, kRelease);
                        right();
                        v.r[1] = v.x.load(kAcquire);
                    }},
                   2);
}

TEST(Litmus, StoreBufferingNeedsTwoFullFencesOrALightAndAHeavyOne) {
    const Fence none = [] {};
    const Fence full = [] { fence(kSeqCst); };
    const Fence light = [] { light_fence(); };
    const Fence heavy = [] { heavy_fence(); };
    const Set strong{"0 1", "1 0", "1 1"};
    const Set weak{"0 0", "0 1", "1 0", "1 1"};
    EXPECT_EQ(store_buffering(none, none), weak);
    EXPECT_EQ(store_buffering(full, none), weak);
    EXPECT_EQ(store_buffering(full, full), strong);
    EXPECT_EQ(store_buffering(light, heavy), strong);
    EXPECT_EQ(store_buffering(full, heavy), strong) << "it is a full fence of its caller as well";
    EXPECT_EQ(store_buffering(light, light), weak);
    EXPECT_EQ(store_buffering(none, heavy), weak) << "the compiler may still reorder";
}

TEST(Litmus, ASeqCstExchangeIsNoFence) {
    // The standard (and AArch64) lets the later load pass the exchange's store.
    const Set all = results({[](Vars& v) {
                                 v.x.exchange(1, kSeqCst);
                                 v.r[0] = v.y.load(kAcquire);
                             },
                             [](Vars& v) {
                                 v.y.store(1, kRelease);
                                 fence(kSeqCst);
                                 v.r[1] = v.x.load(kRelaxed);
                             }},
                            2);
    EXPECT_TRUE(all.contains("0 0"));
}

TEST(Litmus, OneLocationIsReadInItsModificationOrder) {
    const Set all = results({[](Vars& v) {
                                 v.x.store(1, kRelaxed);
                                 v.x.store(2, kRelaxed);
                             },
                             [](Vars& v) {
                                 v.r[0] = v.x.load(kRelaxed);
                                 v.r[1] = v.x.load(kRelaxed);
                             }},
                            2);
    EXPECT_EQ(all, (Set{"0 0", "0 1", "0 2", "1 1", "1 2", "2 2"}));
}

TEST(Litmus, StoresMayTakeAPlaceBeforeStoresMadeEarlier) {
    // 2+2W: both second stores may be overwritten by the other thread's first one.
    const Set all = results({[](Vars& v) {
                                 v.x.store(1, kRelaxed);
                                 v.y.store(2, kRelaxed);
                                 v.r[0] = 0;
                             },
                             [](Vars& v) {
                                 v.y.store(1, kRelaxed);
                                 v.x.store(2, kRelaxed);
                                 v.r[1] = 0;
                             },
                             [](Vars& v) {  // both orders, seen by a third
                                 v.r[0] = v.x.load(kRelaxed);
                                 v.r[1] = v.x.load(kRelaxed);
                                 v.r[2] = v.y.load(kRelaxed);
                                 v.r[3] = v.y.load(kRelaxed);
                             }},
                            4);
    EXPECT_TRUE(all.contains("2 1 2 1"));
}

Set independent_reads(const Fence& between) {
    const auto reader = [&between](int at, bool x_first) {
        return Body{[&between, at, x_first](Vars& v) {
            v.r[at] = (x_first ? v.x : v.y).load(kAcquire);
            between();
            v.r[at + 1] = (x_first ? v.y : v.x).load(kAcquire);
        }};
    };
    return results({[](Vars& v) { v.x.store(1, kRelease); },
                    [](Vars& v) { v.y.store(1, kRelease); }, reader(0, true), reader(2, false)},
                   4);
}

TEST(Litmus, IndependentStoresMayBeSeenInTwoOrdersUnlessFencesForbidIt) {
    EXPECT_TRUE(independent_reads([] {}).contains("1 0 1 0"));
    EXPECT_FALSE(independent_reads([] { fence(kSeqCst); }).contains("1 0 1 0"));
}

TEST(Litmus, ReadModifyWritesLoseNothingAndCarryTheReleaseOn) {
    const Body adder = [](Vars& v) { v.x.fetch_add(1, kRelaxed); };
    const auto tell = [](Vars& v) { v.r[0] = v.x.load(kRelaxed); };
    EXPECT_EQ(results({adder, adder, adder, tell}, 1), (Set{"0", "1", "2", "3"}));
    std::set<std::uint64_t> sums;
    Scenario three{"sums", {}, [&](World& world) {
                       auto* v = world.make<Vars>();
                       for (int i = 0; i < 3; ++i) {
                           world.thread({"adder"}, [v, &adder] { adder(*v); });
                       }
                       world.at_end([v, &sums] { sums.insert(v->x.newest()); });
                   }};
    EXPECT_FALSE(explore(three).violated);
    EXPECT_EQ(sums, (std::set<std::uint64_t>{3}));
    const Set sequence = results({[](Vars& v) {
                                      v.y.store(7, kRelaxed);
                                      v.x.store(1, kRelease);
                                  },
                                  [](Vars& v) { v.x.fetch_add(1, kRelaxed); },
                                  [](Vars& v) {
                                      v.r[0] = v.x.load(kAcquire);
                                      v.r[1] = v.y.load(kRelaxed);
                                  }},
                                 2);
    EXPECT_TRUE(sequence.contains("1 0")) << "the fetch_add alone";
    EXPECT_TRUE(sequence.contains("2 7"));
    EXPECT_FALSE(sequence.contains("2 0")) << "the release sequence broke";
}

TEST(Litmus, OnlyOneOfTwoCompareExchangesSucceeds) {
    const auto taker = [](int at) {
        return Body{[at](Vars& v) {
            std::uint64_t expected = 0;
            v.r[at] = v.x.compare_exchange_strong(expected, 1, kRelaxed, kRelaxed) ? 1 : 0;
        }};
    };
    EXPECT_EQ(results({taker(0), taker(1)}, 2), (Set{"0 1", "1 0"}));
}

Set plain_hand_over(Order store, Order load, bool write_again) {
    return results({[store, write_again](Vars& v) {
                        plain_write(&v.data, 5);
                        v.x.store(1, store);
                        if (write_again) {
                            plain_write(&v.data, 6);
                        }
                    },
                    [load](Vars& v) {
                        if (v.x.load(load) == 1) {
                            v.r[0] = plain_read(&v.data);
                        }
                    }},
                   1);
}

TEST(Litmus, RacesOnPlainWordsAreFound) {
    EXPECT_EQ(plain_hand_over(kRelease, kAcquire, false), (Set{"5", "9"}));
    for (const auto& all :
         {plain_hand_over(kRelaxed, kAcquire, false), plain_hand_over(kRelease, kRelaxed, false),
          plain_hand_over(kRelease, kAcquire, true)}) {
        EXPECT_TRUE(all.begin()->starts_with("!data race")) << *all.begin();
    }
}

/// Each of two threads releases, takes over what the other one released, and touches the word:
/// nothing orders the accesses. Whichever comes second has to notice, so the clock that a release
/// passes on must not be the one that the next access carries, whether or not any came before it.
TEST(Litmus, AReleaseCoversNothingThatComesAfterIt) {
    using Release = std::function<void(Word&)>;
    const auto meet = [](const Release& release, const Body& one, const Body& other) {
        return results({[&](Vars& v) {
                            release(v.x);
                            if (v.y.load(kAcquire) == 1) {
                                one(v);
                            }
                        },
                        [&](Vars& v) {
                            release(v.y);
                            if (v.x.load(kAcquire) == 1) {
                                other(v);
                            }
                        }},
                       2);
    };
    const Release store = [](Word& w) { w.store(1, kRelease); };
    const Release twice = [](Word& w) {
        w.store(2, kRelease);
        w.store(1, kRelease);
    };
    const Release add = [](Word& w) { w.fetch_add(1, Order::acq_rel); };
    const Release fence_and_store = [](Word& w) {
        fence(kRelease);
        w.store(1, kRelaxed);
    };
    const Body write = [](Vars& v) { plain_write(&v.data, 6); };
    const Body read = [](Vars& v) { v.r[0] = plain_read(&v.data); };
    for (const Release& release : {store, twice, add, fence_and_store}) {
        for (const Body& other : {write, read}) {
            const Set all = meet(release, write, other);
            EXPECT_TRUE(all.begin()->starts_with("!data race")) << *all.begin();
        }
        EXPECT_FALSE(meet(release, read, read).begin()->starts_with("!"));
    }
}

TEST(Litmus, ASleeperThatNobodyWakesIsFound) {
    const Body sleeper = [](Vars& v) { futex_wait(v.x.location(), 0); };
    const Body waker = [](Vars& v) {
        v.x.store(1, kRelaxed);
        futex_wake(v.x.location());
    };
    const Body forgetful = [](Vars& v) { v.x.store(1, kRelaxed); };
    EXPECT_EQ(results({sleeper, waker}, 1), (Set{"9"}));
    EXPECT_TRUE(results({sleeper, forgetful}, 1).begin()->starts_with("!no way on"));
    // A spurious wake may happen; nothing may depend on it.
    EXPECT_TRUE(
        results({sleeper, forgetful}, 1, {.spurious_wakes = 1}).begin()->starts_with("!no way"));
}

TEST(Litmus, AnHeirSeesAllThatTheDeadDidAndStartsAfterIt) {
    std::set<std::uint64_t> seen;
    Scenario s{"death", {.deaths = 1}, [&](World& world) {
                   auto* v = world.make<Vars>();
                   const int victim = world.thread({"victim", -1, true}, [v] {
                       v->x.store(1, kRelaxed);
                       v->x.store(2, kRelaxed);
                   });
                   world.thread({"heir", victim}, [v] { v->r[0] = v->x.load(kRelaxed); });
                   world.at_end([v, &seen] { seen.insert(v->r[0]); });
               }};
    EXPECT_FALSE(explore(s).violated);
    EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 9})) << "9: nobody died";
}

}  // namespace
}  // namespace millrace::model
