// A strategy in shared memory, named `beside`, that trades beside the world's own source: on the
// group `hedging`, whose accounts keep each order as a position of its own.
#pragma once

#include "gateway/client/millrace_client.hpp"
#include "tests/chaos/world.h"
#include "tools/demo_run/script.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace millrace::chaos {

class Beside {
public:
    /// What it was told of one of its signals.
    struct Told {
        bool accepted = false;
        bool known = false;  // MR_DUPLICATE
        bool over = false;   // MR_SIGNAL_DONE or MR_REFUSED
        std::uint32_t filled = 0;
    };

    /// An edit of millrace.json that adds this source.
    [[nodiscard]] static Edit configured() {
        return {"\"sources\": [", R"("sources": [{"name": "beside", "kind": "shm"}, )"};
    }

    explicit Beside(World& world) : world_{world} {
        EXPECT_EQ(strategy_.open(world.pipeline().segment_path(), "beside"), MR_OK)
            << client::Strategy::error();
        EXPECT_EQ(strategy_.group("hedging", blank_.group), MR_OK);
        EXPECT_EQ(strategy_.symbol("EURUSD", blank_.symbol), MR_OK);
        blank_.volume = client::fixed("0.10");
    }

    /// A signal with group, symbol and volume; all else is the caller's.
    [[nodiscard]] const client::Signal& blank() const noexcept { return blank_; }
    [[nodiscard]] int submit(const client::Signal& signal) { return strategy_.submit(signal); }
    /// Takes what has come.
    void poll() {
        strategy_.poll([&](const client::Result& r) {
            Told& t = told_[SignalId{r.signal.hi, r.signal.lo}];
            if (r.kind == MR_ACCEPTED) {
                world_.count_other({r.signal.hi, r.signal.lo});
            }
            t.accepted = t.accepted || r.kind == MR_ACCEPTED;
            t.known = t.known || r.kind == MR_DUPLICATE;
            t.over = t.over || r.kind == MR_SIGNAL_DONE || r.kind == MR_REFUSED;
            t.filled = r.kind == MR_SIGNAL_DONE ? r.filled : t.filled;
        });
    }
    [[nodiscard]] const Told& told(const SignalId& id) { return told_[id]; }

    /// One more opening, whose id it puts behind `sent`. @return false if its ring is full.
    bool submit_one(std::vector<SignalId>& sent) {
        client::Signal open = blank_;
        const SignalId id = demo::random_id(random_);
        open.id = {id.hi, id.lo};
        open.action = MR_OPEN;
        const int code = submit(open);
        if (code == MR_OK) {
            sent.push_back(id);
        } else if (code != MR_FULL) {
            ADD_FAILURE() << client::Strategy::error();
        }
        return code == MR_OK;
    }
    /// Opens. @return on how many accounts it is filled.
    std::uint32_t trades(Nanos limit) {
        std::vector<SignalId> sent;
        if (!submit_one(sent)) {
            return 0;
        }
        (void)world_.turn_until([&] { return poll(), told(sent[0]).over; }, limit);
        return told(sent[0]).filled;
    }

private:
    World& world_;
    client::Strategy strategy_;
    client::Signal blank_{};
    market::Random random_{0xBE51DE};
    std::map<SignalId, Told> told_;
};

}  // namespace millrace::chaos
