// Goal: whatever dies, whenever, the venue's own book has at most one execution of an intent, and
// in the end nothing is unknown: what was executed has been told as executed, what was told as not
// executed is not in the book. Method: orders under every way in which a venue treats them, while
// executor, venue and bridge connection are cut off with SIGKILL at random; then quiet, and count.
// MILLRACE_LONG=N makes it N times as many.
#include "tests/fix/desk.h"
#include "tests/seed.h"

#include <cstdlib>
#include <map>
#include <random>

namespace millrace::fix::test {
namespace {

class FixKill : public FixExecutor {
protected:
    enum class Fate { Open, Executed, NotExecuted };

    void take(const Event& event) {
        const auto type = static_cast<ReportType>(event.type);
        const bool of_order = type == ReportType::Outcome || type == ReportType::QueryFound;
        const auto at = fates.find(event.magic);
        if (at == fates.end()) {
            return;
        }
        Fate fate = Fate::Open;
        if (of_order && classify(event.retcode) != RetcodeClass::Recon) {
            fate = event.volume > 0 ? Fate::Executed : Fate::NotExecuted;
        } else if (type == ReportType::QueryAbsent || type == ReportType::Unsent) {
            fate = Fate::NotExecuted;
        }
        if (fate != Fate::Open) {
            EXPECT_TRUE(at->second == Fate::Open || at->second == fate) << "two answers";
            at->second = fate;
        }
    }
    void read_events(int ms) {
        while (const auto event = stage.next_event(ms)) {
            last_event = std::max(last_event, event->first);
            take(event->second);
        }
    }
    /// As the broker stage does it: what the executor has not named is sent again.
    void resume() {
        const bridge::Hello hello = open_session();
        for (std::uint64_t seq = hello.command_seq + 1; seq < next_command; ++seq) {
            bridge::Command command = commands[seq];
            command.generation = session.generation;
            command.epoch = session.epoch;
            command.flags |= bridge::kCommandResent;
            stage.send_command(seq, command);
        }
    }
    void disaster(unsigned which) {
        if (which % 3 == 0) {
            executor.kill9();
            stage.close();
            start_executor();
            resume();
        } else if (which % 3 == 1) {
            venue.kill9();
            venue.start();
        } else {
            stage.close();
            resume();
        }
    }
    bool all_told() {
        read_events(300);
        for (const auto& [magic, fate] : fates) {
            if (fate == Fate::Open) {  // as the engine does when an answer is overdue
                commands[next_command] = query_command(magic);
                send(query_command(magic));
            }
        }
        return std::all_of(fates.begin(), fates.end(),
                           [](const auto& fate) { return fate.second != Fate::Open; });
    }

    std::map<std::uint64_t, bridge::Command> commands;  // by number
    std::map<std::uint64_t, Fate> fates;                // by magic
};

TEST_F(FixKill, NothingIsExecutedTwiceAndNothingStaysUnknown) {
    const char* const factor = std::getenv("MILLRACE_LONG");
    const unsigned orders = 40 * static_cast<unsigned>(factor ? std::max(1, std::atoi(factor)) : 1);
    const std::uint64_t seed = millrace::test::first_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const char* const modes[] = {"fill",   "fill", "reject", "partial",
                                 "silent", "lost", "unread", "ignore"};
    start();
    for (unsigned i = 1; i <= orders; ++i) {
        venue.control(R"("cmd": "next", "do": ")" + std::string{modes[random() % 8]} + "\"");
        const auto command = open_command(i);
        commands[next_command] = command;
        fates[command.magic] = Fate::Open;
        send(command);
        read_events(static_cast<int>(random() % 4));
        if (i % 5 == 0) {
            disaster(static_cast<unsigned>(random()));
        }
        if (random() % 4 != 0) {
            wait_venue();  // or most orders would be refused as logged off
        }
    }
    ASSERT_TRUE(eventually([&] { return all_told(); }))
        << text("log") << text("j/fix/venue/messages.log");
    std::map<std::string, int> executed;
    for (const Executed& execution : venue.executions()) {
        EXPECT_EQ(++executed[execution.cl_ord_id], 1) << execution.cl_ord_id;
    }
    int unsure = 0;
    for (const auto& [magic, fate] : fates) {
        const std::string id{cl_ord_id(Magic{magic}).view()};
        EXPECT_EQ(fate == Fate::Executed, executed.contains(id)) << id;
        unsure += fate == Fate::Open ? 1 : 0;
    }
    EXPECT_EQ(unsure, 0);
    EXPECT_EQ(venue.stat("possdup"), 0);
    std::printf("covers: %u orders, %zu executed, beside kills\n", orders, executed.size());
}

}  // namespace
}  // namespace millrace::fix::test
