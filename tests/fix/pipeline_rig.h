// `millrace up` with one FIX account and a source over TCP, and what became of each signal.
#pragma once

#include "gateway/signal_client.h"
#include "shm/role.h"
#include "tests/fix/desk.h"
#include "tools/millrace/process.h"

#include <signal.h>

#include <algorithm>
#include <map>
#include <memory>

namespace millrace::fix::test {

/// `millrace up`, which is asked to stop whatever becomes of the test: its stages outlive it.
struct Up : Child {
    ~Up() {
        if (runs()) {
            terminate();
            wait_end();
        }
    }
};

/// A whole pipeline with one FIX account and a source. Whose venue it is says who inherits.
class FixPipelineRig : public FixExecutor {
protected:
    struct Life {
        bool accepted = false;
        bool done = false;                             // SignalDone
        std::map<std::uint64_t, std::int64_t> orders;  // OrderDone: units by magic
    };

    /// Until the venue is there, and `other_port` is its port if it is not `venue`.
    virtual void begin_venue() { start_venue(); }
    virtual void await_logon() { wait_venue(); }
    /// Entries need a price. A venue that was killed has forgotten it.
    virtual void quote() {
        venue.control(R"("cmd": "quote", "symbol": "EURUSD", "bid": "1.1", "ask": "1.1001")");
    }
    /// Whenever something is waited for: starts again what nobody else does.
    virtual void mend() {}

    void start_pipeline() {
        begin_venue();
        write_config(bridge.number());
        up.start({MILLRACE_EXECUTABLE, "up", "-c", folder / "c.json"}, folder / "log");
        await_logon();
        quote();
        SignalClientOptions options;
        options.port = signals.number();
        options.source = "src";
        for (int i = 0; i < 16; ++i) {
            options.key.push_back(static_cast<std::byte>(i * 0x11));  // as in the configuration
        }
        SignalCallbacks callbacks;
        callbacks.on_ack = [this](const SignalAnswer& a) { lives[a.id].accepted = true; };
        callbacks.on_refused = [this](const SignalAnswer& a) { lives[a.id].done = true; };
        callbacks.on_result = [this](const SignalResult& r) { take(r); };
        std::string message;
        auto made = SignalClient::create(options, callbacks, message);
        ASSERT_TRUE(made.ok()) << message;
        client = std::move(made).value();
    }
    void take(const SignalResult& r) {
        Life& life = lives[r.signal];
        if (r.kind == ResultKind::OrderDone) {
            life.orders[r.magic] = r.cum_volume.value / (kScale / 100'000);
        } else if (r.kind == ResultKind::SignalDone) {
            life.done = true;
        }
    }
    SignalId signal(SignalAction action, std::int64_t lots, SignalId target = {}) {
        return signal(SignalRequest{}, action, lots, target);
    }
    /// @param request with what is unusual.
    SignalId signal(SignalRequest request, SignalAction action, std::int64_t lots,
                    SignalId target = {}) {
        request.id = {7, lives.size() + 1};
        request.target = target;
        request.group = "g";
        request.symbol = "EURUSD";
        request.action = action;
        request.volume = Lots{lots};
        EXPECT_TRUE(client->submit(request).ok());
        lives[request.id];
        return request.id;
    }
    /// An entry that is executed: the account may not trade yet, or have no price.
    SignalId entry() {
        SignalId id;
        EXPECT_TRUE(eventually([&] {
            id = signal(SignalAction::Open, kScale / 10);
            wait_all_done();
            const auto& orders = lives[id].orders;
            return std::any_of(orders.begin(), orders.end(),
                               [](const auto& order) { return order.second > 0; });
        })) << text("log")
            << text("j/fix/venue/messages.log");
        return id;
    }
    bool wait_all_done() {
        return eventually([&] {
            client->poll(5);
            mend();
            return std::all_of(lives.begin(), lives.end(),
                               [](const auto& life) { return life.second.done; });
        });
    }
    static void kill_process(ProcessId process) {
        auto watch = ProcessWatch::open(process);
        if (watch.ok()) {  // or it is dead already
            watch.value().send(SIGKILL);
            static_cast<void>(watch.value().wait_dead(seconds(30)));
        }
    }
    void kill_executor() {
        ProcessId process;
        if (std::istringstream{text("j/fix/venue/pid")} >> process.pid >> process.start_time) {
            kill_process(process);
        }
    }
    /// @param role "broker", "core-0" ...: whoever holds it at this moment.
    void kill_stage(const char* role) {
        const int pid = RoleLock::holder_pid(folder / "j", role);
        if (pid > 0) {
            kill_process({pid, process_start_time(pid)});
        }
    }
    millrace::test::QuietPort bridge;
    Up up;
    std::map<SignalId, Life> lives;
    std::unique_ptr<SignalClient> client;
};

}  // namespace millrace::fix::test
