// Goal: a reader never gets a torn or an older quote, a writer killed inside a write leaves
// NO_PRICE and no lie, and the next owner's write heals the cell; and a cell that nobody is writing
// shows its newest quote.
// Method: the production cell on the explorer's atomics, complete; then each order relaxed. One
// reader stands for many: readers write nothing.
#include "shm/tick_cell.h"
#include "tests/model/atomics.h"
#include "tests/model/report.h"

#include <gtest/gtest.h>

namespace millrace::model {
namespace {

using Cell = BasicTickCell<Atomic>;

struct TickCase {
    const char* name;
    std::int64_t writes;  // in one life
    int loads;
    int heirs = 0;
    unsigned deaths = 0;
    bool looks_after = false;  // each writer, when it is done
};

Quote numbered(std::int64_t n) {
    return {Price{n}, Price{2 * n}, Nanos{3 * n}};
}

/// The numbers of an heir's quotes are above those of all its predecessors.
void write_quotes(Cell& cell, const TickCase& c, std::int64_t life) {
    for (std::int64_t n = 1; n <= c.writes; ++n) {
        cell.store(numbered(life * c.writes + n));
    }
    check(cell.version.newest() % 2 == 0, "a whole write leaves the cell as half written");
    if (c.looks_after) {
        check(cell.load().bid.value == (life + 1) * c.writes,
              "nobody is writing, and a look does not show the newest quote");
    }
}

void read_quotes(const Cell& cell, const TickCase& c) {
    struct {
        std::int64_t last = 0, done = 0;
    } state;
    for (; state.done < c.loads; ++state.done) {
        checkpoint(&state, sizeof state);
        const Quote q = cell.load();
        if (q.bid.value == 0) {
            continue;  // NO_PRICE
        }
        check(q.ask.value == 2 * q.bid.value, "torn: bid and ask of two quotes");
        check(q.time.value == 3 * q.bid.value, "torn: price and time of two quotes");
        check(q.bid.value >= state.last, "a reader is shown an older quote than before");
        state.last = q.bid.value;
    }
}

Scenario scenario_of(const TickCase& c) {
    return {c.name, {.deaths = c.deaths}, [c](World& world) {
                auto* cell = world.make<Cell>();
                cell->version.named("version");
                cell->bid.named("bid");
                cell->ask.named("ask");
                cell->time_ns.named("time");
                int before = -1;
                for (int life = 0; life <= c.heirs; ++life) {
                    before =
                        world.thread({"writer " + std::to_string(life), before, life < c.heirs},
                                     [cell, c, life] { write_quotes(*cell, c, life); });
                }
                if (c.loads > 0) {
                    world.thread({"reader"}, [cell, c] { read_quotes(*cell, c); });
                }
                world.at_end([cell] {
                    const std::int64_t bid = cell->bid.newest();
                    check(cell->version.newest() % 2 == 0, "the heir did not heal the cell");
                    check(cell->ask.newest() == 2 * bid, "the cell ends torn");
                    check(cell->time_ns.newest() == 3 * bid, "the cell ends torn");
                });
            }};
}

std::vector<Scenario> scenarios() {
    std::vector<TickCase> cases{
        {.name = "2 quotes, 1 look", .writes = 2, .loads = 1},
        {.name = "3 quotes, 2 looks", .writes = 3, .loads = 2},
        {.name = "writer killed anywhere, healed by its heir",
         .writes = 1,
         .loads = 2,
         .heirs = 1,
         .deaths = 1},
        {.name = "writer and heir killed anywhere",
         .writes = 1,
         .loads = 1,
         .heirs = 2,
         .deaths = 2},
        {.name = "a look when the writer is done", .writes = 2, .loads = 0, .looks_after = true},
        {.name = "a look when the heir of a killed writer is done",
         .writes = 1,
         .loads = 0,
         .heirs = 1,
         .deaths = 1,
         .looks_after = true},
    };
    if (long_run()) {
        cases.push_back({.name = "2 quotes a life, two deaths, 2 looks",
                         .writes = 2,
                         .loads = 2,
                         .heirs = 2,
                         .deaths = 2});
    }
    std::vector<Scenario> all;
    for (const TickCase& c : cases) {
        all.push_back(scenario_of(c));
    }
    return all;
}

TEST(TickModel, ReaderNeverGetsATornQuoteWhereverTheWriterIsKilled) {
    for (const Scenario& s : scenarios()) {
        EXPECT_TRUE(holds(s)) << s.name;
    }
}

TEST(TickModel, EveryOrderInTheHeaderIsNeeded) {
    for (const Scenario& s : scenarios()) {
        ASSERT_FALSE(explore(s).violated) << s.name;  // learns the sites
    }
    EXPECT_EQ(unexplored_lines("shm/tick_cell.h"), std::vector<std::string>{});
    EXPECT_EQ(survivors("shm/tick_cell.h", scenarios()), std::vector<std::string>{});
}

}  // namespace
}  // namespace millrace::model
