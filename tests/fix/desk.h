// The executor of a FIX account as a process, between a venue and a scripted broker stage.
#pragma once

#include "core/admin.h"
#include "core/order_status.h"
#include "core/retcode.h"
#include "gateway/fix/values.h"
#include "tests/covers.h"
#include "tests/fix/venue.h"
#include "tests/ops/quiet_port.h"
#include "tests/simbroker/harness.h"

#include <gtest/gtest.h>

#include <fstream>

namespace millrace::fix::test {

using bridge::Event;
using sim::test::kTag;
inline constexpr std::uint32_t kLoggedOff = 10029;
using sim::test::open_command;
using sim::test::query_command;

inline bool is(const Event& event, ReportType type) {
    return event.type == static_cast<std::uint8_t>(type);
}
inline std::string id_of(const bridge::Command& command) {
    return std::string{cl_ord_id(Magic{command.magic}).view()};
}
/// A pending order: buy 0.10 at 1.05 or better.
inline bridge::Command limit_command(std::uint64_t intent) {
    bridge::Command command = open_command(intent);
    command.price_kind = static_cast<std::uint8_t>(PriceKind::Limit);
    command.price = 105'000'000;
    return command;
}

/// Closes 0.10 bought.
inline bridge::Command close_command(std::uint64_t intent) {
    bridge::Command command = open_command(intent);
    command.type = static_cast<std::uint8_t>(CommandType::Close);
    command.side = static_cast<std::uint8_t>(Side::Sell);
    return command;
}

class FixExecutor : public testing::Test {
protected:
    bool denial_is_proof = true;  // of the venue's status request
    std::string symbols = R"({"name": "EURUSD"})";
    std::string more_fix;          // keys of "fix", each with a comma behind it
    std::uint16_t other_port = 0;  // of another venue than `venue`
    void start_venue() { venue.start(); }
    /// @param bridge the broker stage's port.
    void write_config(std::uint16_t bridge) {
        std::ofstream{folder / "c.json"}
            << R"({"name": "fix-)" << ::getpid() << R"(", "journal": {"dir": "j"}, "listen": {)"
            << R"("signals": "127.0.0.1:)" << signals.number() << R"(", "bridge": "127.0.0.1:)"
            << bridge << R"("}, "symbols": [)" << symbols << R"(], "accounts": [{"name": "venue",)"
            << R"( "login": )" << sim::test::kLogin
            << R"(, "key": "00112233445566778899aabbccddeeff", "margin_mode": "netting",)"
            << R"( "kind": "fix", "fix": {"server": "127.0.0.1:)"
            << (other_port != 0 ? other_port : venue.port())
            << R"(", "sender_comp_id": "DESK", "target_comp_id": "VENUE", "reconnect_s": 1,)"
            << R"( "pause_s": 1, "absent_after_ms": 300,)"
            << (denial_is_proof ? R"( "denial_is_proof": true,)" : "") << more_fix
            << R"( "quotes": true}, "rate_per_second": 1000,)"
            << R"( "rate_burst": 1000}], "risk": {"answer_timeout_ms": 500},)"
            << R"( "groups": [{"name": "g", "members": [{"account": "venue"}]}],)"
            << R"( "sources": [{"name": "src", "key": "00112233445566778899aabbccddeeff"}]})";
    }
    void start_executor() {
        write_config(stage.port());
        executor.start({MILLRACE_FIX, "-c", folder / "c.json", "-a", "venue", "--silence-s", "600"},
                       folder / "log");
        ASSERT_EQ(executor.line(), "fix: account venue: ready") << text("log");
    }
    /// The next session: it takes up where the last one ended.
    bridge::Hello open_session() {
        session.generation += 1;
        session.event_seq = last_event;
        session.next_command_seq = next_command;
        return stage.open(session);
    }
    void start() {
        start_venue();
        start_executor();
        open_session();
        wait_trading();
    }
    void wait_venue() {
        ASSERT_TRUE(eventually([&] { return venue.stat("on") == 1; })) << text("log");
    }
    /// Until the executor knows that it is logged on: it says "logged off" to a cancel of nothing
    /// no more.
    void wait_trading() {
        wait_venue();
        bridge::Command probe = open_command(0);
        do {
            probe = open_command(++probes);
            probe.type = static_cast<std::uint8_t>(CommandType::Cancel);
        } while (answer_to(probe).retcode == kLoggedOff && !HasFailure());
    }
    void send(bridge::Command command) {
        millrace::test::covered("commands");
        command.generation = session.generation;
        command.epoch = session.epoch;
        stage.send_command(next_command++, command);
    }
    /// The next event that is about `magic`, and not a QueryUnknown unless asked for.
    Event next(std::uint64_t magic, bool unknown_too = false) {
        for (;;) {
            const auto event = stage.next_event(180'000);
            if (!event) {
                ADD_FAILURE() << "no event\n" << text("log") << text("j/fix/venue/messages.log");
                return {};
            }
            millrace::test::covered("events");
            last_event = event->first;
            const bool skip = is(event->second, ReportType::QueryUnknown) && !unknown_too;
            if (event->second.magic == magic && !skip) {
                return event->second;
            }
        }
    }
    Event answer_to(const bridge::Command& command) {
        send(command);
        return next(command.magic);
    }
    void kill(std::uint8_t actions) {
        bridge::Kill frame{};
        frame.kill_id = ++kills_sent;
        frame.actions = actions;
        stage.send_kill(frame);
    }
    /// Messages of a type that have left, by the executor's own log. @param about part of them.
    std::size_t sent(char type, const std::string& about = "") const {
        std::istringstream log{text("j/fix/venue/messages.log")};
        std::size_t count = 0;
        const std::string kind = std::string{"|35="} + type + "|";
        for (std::string line; std::getline(log, line);) {
            count += line.find(kind) != std::string::npos && line.find(about) != std::string::npos;
        }
        return count;
    }
    /// What a kill sends at once has left when this returns.
    void kill_and_wait(std::uint8_t actions) {
        kill(actions);
        send(query_command(open_command(++probes).magic));
        static_cast<void>(next(open_command(probes).magic, true));
    }
    /// An AccountInfo that is `wanted`. @return false after 180 s.
    bool wait_info(const std::function<bool(const Event&)>& wanted) {
        stage.acknowledge(last_event);  // one is on its way at a time
        return stage.wait_info(wanted);
    }
    [[nodiscard]] std::string text(const std::string& name) const {
        std::stringstream all;
        all << std::ifstream{folder / name}.rdbuf();
        return all.str();
    }

    Folder folder;
    millrace::test::QuietPort signals;
    Acceptor venue;
    sim::test::Stage stage;
    sim::test::Stage::Session session;
    Child executor;
    std::uint64_t next_command = 1;
    std::uint64_t last_event = 0;
    std::uint64_t kills_sent = 0;      // kill_id
    std::uint64_t probes = 1'000'000;  // intent
};

}  // namespace millrace::fix::test
