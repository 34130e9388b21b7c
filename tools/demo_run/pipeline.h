// Pipeline: the processes of one run: `millrace up` with its stages, and the simulated broker.
#pragma once

#include "core/assert.h"
#include "shm/segment.h"
#include "tools/demo_run/child.h"
#include "tools/demo_run/workspace.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace::demo {

/// How the simulated broker plays its market.
struct MarketPlan {
    std::vector<std::string> ticks;  // empty = generated from `seed`
    double speed = 1.0;
    Nanos origin;                // recorded time that plays at the start
    std::int64_t gap_max_s = 0;  // longer recorded gaps are shortened; 0 = played in full
    std::uint64_t seed = 1;
};

/// Threads: one at a time (the chaos thread has it while it runs).
class Pipeline {
public:
    Pipeline(const Workspace& workspace, Plan plan, MarketPlan market);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// How long start() waits for each of its steps, 20 s if nothing is said.
    void set_start_max(Nanos limit) noexcept { start_max_ = limit; }
    /// How long supervisor and broker may each take to end in order.
    void set_stop_max(Nanos limit) noexcept { stop_max_ = limit; }
    /// Unix socket for the broker's control line (tools/simbroker/control.h); none if not set.
    void set_broker_control(std::string path) { broker_control_ = std::move(path); }

    /// Starts everything and waits until the stages run, every account trades and every symbol has
    /// a quote (`quotes_needed`). @return a sentence about what went wrong; empty = all is up.
    [[nodiscard]] std::string start(bool quotes_needed);
    /// The first step of start(): the supervisor, and its segment. For tests that kill in a start.
    [[nodiscard]] std::string begin();

    /// Waits until each of `symbols` has a quote. @return what went wrong; empty = they have.
    [[nodiscard]] std::string wait_for_quotes(const std::vector<std::string>& symbols);

    /// Sends the generated or recorded market on its way; start() has done it for the first time.
    [[nodiscard]] std::string start_broker();
    /// @param words further ones for `millrace up`.
    [[nodiscard]] std::string start_supervisor(const std::vector<std::string>& words = {});

    /// Drains and stops `millrace up`, then the broker. @return what went wrong; empty = clean.
    [[nodiscard]] std::string stop();

    [[nodiscard]] Child& supervisor() noexcept { return supervisor_; }
    [[nodiscard]] Child& broker() noexcept { return broker_; }
    /// Of the pipeline that start_supervisor() has started.
    [[nodiscard]] const Segment& segment() const noexcept {
        ASSERT(segment_.has_value());
        return *segment_;
    }
    [[nodiscard]] const Plan& plan() const noexcept { return plan_; }
    /// Every stage that trading needs runs, or stands by.
    [[nodiscard]] bool stages_running() const;
    /// Every account's session is up and the account may trade.
    [[nodiscard]] bool accounts_ready() const;
    /// account id -> login, as the pipeline numbered them.
    [[nodiscard]] std::map<std::uint32_t, std::uint64_t> logins() const;
    /// Account names by account id, for pictures.
    [[nodiscard]] std::vector<std::string> account_names() const;
    /// Latest quote by canonical name; nothing before the first.
    [[nodiscard]] std::optional<Quote> quote(std::string_view symbol) const;
    /// Wall clock at which the recorded market began to play.
    [[nodiscard]] Nanos market_start() const noexcept { return market_start_; }
    [[nodiscard]] std::string segment_path() const {
        return "/dev/shm/millrace-" + plan_.segment_name;
    }
    [[nodiscard]] std::string books_path() const { return workspace_.path("broker/books"); }

private:
    [[nodiscard]] std::string wait_for_segment();
    [[nodiscard]] std::string wait_for(const char* what, const std::function<bool()>& ready);
    [[nodiscard]] std::string why_dead(Child& child, const char* name, const std::string& log);

    const Workspace& workspace_;
    Plan plan_;
    MarketPlan market_;
    Child supervisor_;
    Child broker_;
    std::optional<Segment> segment_;
    Nanos market_start_;
    Nanos start_max_ = seconds(20);
    Nanos stop_max_ = seconds(60);  // the supervisor bounds each stage with 10 s itself
    std::string broker_control_;
};

}  // namespace millrace::demo
