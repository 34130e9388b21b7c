#include "tools/demo_run/pipeline.h"

#include "shm/clock.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

namespace millrace::demo {
namespace {

constexpr std::size_t kTailLines = 15;

/// Folder of the sibling executables: this one lies in <build>/tools/demo_run.
std::filesystem::path tools_folder() {
    std::error_code none;
    return std::filesystem::read_symlink("/proc/self/exe", none).parent_path().parent_path();
}

std::string in_seconds(Nanos time) {
    return std::to_string(time.value / seconds(1).value) + " s";
}

void nap() noexcept {
    const timespec ts{0, millis(2).value};
    ::nanosleep(&ts, nullptr);
}

}  // namespace

Pipeline::Pipeline(const Workspace& workspace, Plan plan, MarketPlan market)
    : workspace_{workspace}, plan_{std::move(plan)}, market_{std::move(market)} {}

Pipeline::~Pipeline() {
    // After a clean stop nothing is left of all this.
    supervisor_ = Child{};
    broker_ = Child{};
    end_descendants();
    ::unlink(segment_path().c_str());
}

std::string Pipeline::begin() {
    const std::string why = start_supervisor();
    return why.empty() ? wait_for_segment() : why;
}

std::string Pipeline::start(bool quotes_needed) {
    if (std::string why = begin(); !why.empty()) {
        return why;
    }
    if (std::string why = wait_for("every stage runs", [this] { return stages_running(); });
        !why.empty()) {
        return why;
    }
    if (std::string why = start_broker(); !why.empty()) {
        return why;
    }
    if (std::string why = wait_for("every account trades", [this] { return accounts_ready(); });
        !why.empty()) {
        return why;
    }
    std::vector<std::string> symbols;
    symbols.reserve(plan_.symbols.size());
    for (const market::SymbolInfo& s : plan_.symbols) {
        symbols.push_back(s.name);
    }
    return quotes_needed ? wait_for_quotes(symbols) : "";
}

std::string Pipeline::wait_for_quotes(const std::vector<std::string>& symbols) {
    return wait_for("the market has quotes", [this, &symbols] {
        return std::all_of(symbols.begin(), symbols.end(),
                           [this](const std::string& s) { return quote(s).has_value(); });
    });
}

std::string Pipeline::start_supervisor(const std::vector<std::string>& words) {
    std::string message;
    const std::string exe = (tools_folder() / "millrace/millrace").string();
    std::vector<std::string> all{exe, "up", "-c", workspace_.path("millrace.json")};
    all.insert(all.end(), words.begin(), words.end());
    auto child = Child::spawn(all, workspace_.path("millrace.log"), message);
    if (!child) {
        return message;
    }
    supervisor_ = std::move(child.value());
    return "";
}

std::string Pipeline::start_broker() {
    std::error_code none;
    std::filesystem::create_directories(workspace_.path("broker"), none);
    if (market_start_.value == 0) {
        market_start_ = Nanos{wall_ns()};
        if (market_.origin.value == 0) {
            market_.origin = market_start_;
        }
    }
    std::vector<std::string> arguments{
        (tools_folder() / "simbroker/millrace-simbroker").string(), "--config",
        workspace_.path("simbroker.json"), "--connect",
        "127.0.0.1:" + std::to_string(plan_.bridge_port), "--books", books_path(), "--journal-dir",
        workspace_.path("broker/intents"), "--seed", std::to_string(market_.seed),
        // A restarted broker goes on where the market is by then.
        "--origin-ms", std::to_string(market_.origin.value / 1'000'000), "--start-at-ns",
        std::to_string(market_start_.value), "--speed", std::to_string(market_.speed)};
    if (market_.ticks.empty()) {
        arguments.insert(arguments.end(), {"--tick-gap-us", "5000"});
    }
    for (const std::string& file : market_.ticks) {
        arguments.insert(arguments.end(), {"--ticks", file});
    }
    if (market_.gap_max_s > 0) {
        arguments.insert(arguments.end(), {"--gap-max-s", std::to_string(market_.gap_max_s)});
    }
    if (!broker_control_.empty()) {
        arguments.insert(arguments.end(), {"--control", broker_control_});
    }
    std::string message;
    auto child = Child::spawn(arguments, workspace_.path("simbroker.log"), message);
    if (!child) {
        return message;
    }
    broker_ = std::move(child.value());
    return "";
}

std::string Pipeline::stop() {
    std::string problem;
    supervisor_.signal(SIGTERM);
    if (!supervisor_.wait(stop_max_)) {
        problem = "millrace up did not stop within " + in_seconds(stop_max_) + " of SIGTERM; see " +
                  workspace_.path("millrace.log") + ":\n" +
                  tail_of(workspace_.path("millrace.log"), kTailLines);
    } else if (supervisor_.status() != 0) {
        problem = "millrace up ended with " + supervisor_.how_it_ended() + "; its last words:\n" +
                  tail_of(workspace_.path("millrace.log"), kTailLines);
    }
    broker_.signal(SIGTERM);
    if (!broker_.wait(stop_max_)) {
        problem +=
            "the simulated broker did not stop within " + in_seconds(stop_max_) + " of SIGTERM\n";
    } else if (broker_.status() != 0) {
        problem += "the simulated broker ended with " + broker_.how_it_ended() +
                   "; its last words:\n" + tail_of(workspace_.path("simbroker.log"), kTailLines);
    }
    return problem;
}

std::string Pipeline::wait_for_segment() {
    const std::int64_t until = monotonic_ns() + start_max_.value;
    std::string message;
    while (monotonic_ns() < until) {
        auto segment = Segment::attach(segment_path(), Segment::Mode::ReadOnly, message);
        if (segment) {
            segment_.emplace(std::move(segment.value()));
            return "";
        }
        if (std::string why = why_dead(supervisor_, "millrace up", "millrace.log"); !why.empty()) {
            return why;
        }
        nap();
    }
    return "no segment after " + in_seconds(start_max_) + ": " + message + "\n" +
           tail_of(workspace_.path("millrace.log"), kTailLines);
}

std::string Pipeline::wait_for(const char* what, const std::function<bool()>& ready) {
    const std::int64_t until = monotonic_ns() + start_max_.value;
    while (!ready()) {
        if (std::string why = why_dead(supervisor_, "millrace up", "millrace.log"); !why.empty()) {
            return why;
        }
        if (broker_.pid() != 0) {
            if (std::string why = why_dead(broker_, "millrace-simbroker", "simbroker.log");
                !why.empty()) {
                return why;
            }
        }
        if (monotonic_ns() > until) {
            return "waited " + in_seconds(start_max_) + " in vain until " + what +
                   "; millrace up says:\n" + tail_of(workspace_.path("millrace.log"), kTailLines) +
                   "the broker says:\n" + tail_of(workspace_.path("simbroker.log"), kTailLines);
        }
        nap();
    }
    return "";
}

std::string Pipeline::why_dead(Child& child, const char* name, const std::string& log) {
    if (child.running()) {
        return "";
    }
    return std::string{name} + " ended with " + child.how_it_ended() + "; its last words:\n" +
           tail_of(workspace_.path(log), kTailLines);
}

bool Pipeline::stages_running() const {
    for (const StageId id : {StageId::Engine, StageId::Broker, StageId::Journal, StageId::Replica,
                             StageId::Sqlite, StageId::Ingress}) {
        // Acquire: pairs with the runner's release of the state; nothing else is read through it.
        const auto state =
            static_cast<StageState>(segment().stage(id).state.load(std::memory_order_acquire));
        if (state != StageState::Running && state != StageState::Standby) {
            return false;
        }
    }
    return true;
}

bool Pipeline::accounts_ready() const {
    std::size_t up = 0;
    for (std::uint32_t i = 0; i < segment().sessions(); ++i) {
        const SessionEntry& s = segment().session(AccountId{i});
        // Relaxed, all three: a picture for waiting; each is looked at again.
        const bool ready =
            s.login.load(std::memory_order_relaxed) != 0 &&
            s.link.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(LinkState::Up) &&
            s.account_state.load(std::memory_order_relaxed) ==
                static_cast<std::uint32_t>(AccountState::Trading);
        up += ready ? 1 : 0;
    }
    return up == plan_.accounts.size();
}

std::map<std::uint32_t, std::uint64_t> Pipeline::logins() const {
    std::map<std::uint32_t, std::uint64_t> by_id;
    for (std::uint32_t i = 0; i < segment().sessions(); ++i) {
        // Relaxed: written once, long ago.
        const std::uint64_t login =
            segment().session(AccountId{i}).login.load(std::memory_order_relaxed);
        if (login != 0) {
            by_id[i] = login;
        }
    }
    return by_id;
}

std::vector<std::string> Pipeline::account_names() const {
    std::vector<std::string> names(segment().sessions());
    for (const auto& [id, login] : logins()) {
        for (const AccountPlan& a : plan_.accounts) {
            if (a.login == login) {
                names[id] = a.name;
            }
        }
    }
    return names;
}

std::optional<Quote> Pipeline::quote(std::string_view symbol) const {
    const NameTables& names = segment().names();
    for (std::uint32_t i = 0; i < kNamesPerKind; ++i) {
        const NameEntry& entry = names.symbols[i];
        // Acquire: pairs with the engine's release after it wrote the name.
        if (entry.ready.load(std::memory_order_acquire) != 0 && view(entry.name) == symbol) {
            const Quote q = segment().tick(SymbolId{i}).load();
            return q.bid.value > 0 ? std::optional{q} : std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace millrace::demo
