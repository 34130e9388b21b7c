#include "tools/terminals/keeper.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "shm/boot_id.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/log.h"
#include "tools/terminals/need.h"

namespace millrace::terminals {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// In a terminal's folder while an operator wants it stopped: holds over our own end.
constexpr const char* kStoppedFile = "stopped";
/// In it while it is given up: the boot's id. Holds over our own death, not over a `down` or a
/// boot: an `up` tries anew.
constexpr const char* kFailedFile = "failed";
/// So many starts in a row that did not come about are told by an alert.
constexpr std::uint32_t kSetbacksToTell = 5;

Limits limits_of(const TerminalConfig& t) {
    Limits limits;
    limits.silent_max = seconds(t.ready_s);
    limits.end_patience = seconds(t.stop_s);
    limits.retry = seconds(t.retry_s);
    return limits;
}

void forget_failure(const std::string& folder) {
    ::unlink((folder + "/" + kFailedFile).c_str());
}

bool was_given_up(const std::string& folder) {
    std::string boot;
    std::ifstream file{folder + "/" + kFailedFile};
    return file >> boot && boot == read_boot_id();
}

}  // namespace

struct Keeper::Terminal {
    Terminal(TerminalConfig c, const std::string& its_folder)
        : config{std::move(c)},
          folder{its_folder},
          process{its_folder},
          policy{limits_of(config)} {}

    TerminalConfig config;
    std::string folder;
    AccountId account{kNoId};
    TerminalProcess process;
    Policy policy;
    bool needed = false;  // its account has orders in doubt, or positions
    bool session = false;
    std::string setback;  // what kept it from its last start
    bool setback_told = false;
    State told = State::Queued;  // the state that the log has
    Nanos since;                 // when it got into its state
};

Keeper::Keeper(const Config& config, TerminalsConfig terminals, std::vector<std::string> launcher)
    : config_{config},
      settings_{std::move(terminals)},
      launcher_{std::move(launcher)},
      sight_{config.segment_path()} {
    for (const TerminalConfig& t : settings_.terminals) {
        terminals_.push_back(
            std::make_unique<Terminal>(t, terminal_folder(config.journal.dir, t.account_name)));
    }
}

Keeper::~Keeper() = default;

void Keeper::say(const Terminal& t, const std::string& what) const {
    log_info("terminal " + t.config.account_name + ": " + what);
}

void Keeper::begin(Nanos now) {
    std::string message;
    const auto ids = IdBook::load(config_.journal.dir, message);
    if (!ids) {
        log_error(message);  // no session is seen then, and none held against a terminal
    }
    std::vector<std::string> names;
    std::size_t waiting = 0;
    for (auto& t : terminals_) {
        names.push_back(t->config.account_name);
        t->since = now;
        if (ids) {
            t->account = AccountId{ids.value().find(NameKind::Account, names.back())};
        }
        if (t->process.adopt()) {
            t->policy.started(now);
            say(*t, "adopted pid " + std::to_string(t->process.pid()));
        } else if (was_given_up(t->folder)) {
            t->policy.was_given_up(now);
        }
        if (std::error_code none; fs::exists(t->folder + "/" + kStoppedFile, none)) {
            t->policy.stop(now);
        }
        waiting += t->policy.wants_start(now) ? 1 : 0;
    }
    if (waiting < 2) {
        return;  // there is no order of one
    }
    message.clear();
    const std::vector<bool> need = accounts_in_need(config_, names, message);
    if (!message.empty()) {
        log_warn("terminals: who has positions is not known: " + message);
    }
    for (std::size_t i = 0; i < need.size(); ++i) {
        terminals_[i]->needed = need[i];
    }
}

void Keeper::turn(Nanos now) {
    sight_.look();
    for (auto& t : terminals_) {
        look_at(*t, now);
    }
    start_due(now);
}

void Keeper::look_at(Terminal& t, Nanos now) {
    Sight sight;
    sight.runs = t.process.runs();
    sight.never_began = t.process.never_began();
    sight_.see(t.account, t.config.login, sight);
    t.session = sight.session;
    const State before = t.policy.state();
    const Act act = t.policy.turn(now, sight);
    if (act == Act::AskToEnd) {
        t.process.ask_to_end();
    } else if (act == Act::Kill) {
        log_warn("terminal " + t.config.account_name + ": killed: " +
                 (before == State::Ending ? "it does not end"
                                          : "no session for " + std::to_string(t.config.ready_s) +
                                                " s while the broker stage works"));
        t.process.kill();
    }
    const State state = t.policy.state();
    if (state != before && sight.never_began) {
        t.setback = t.process.last_end();
    }
    if (state != t.told) {
        t.told = state;
        t.since = now;
        if (state == State::Ready) {
            forget_failure(t.folder);
        }
        const std::string end = sight.runs ? "" : ", " + t.process.last_end();
        say(t, std::string{to_string(state)} + (end.size() > 2 ? end : ""));
    }
    if (t.policy.take_alert()) {
        give_up(t);
    }
    tell_setbacks(t);
}

/// What keeps it from its start is none of its doing, and nobody is given up for it.
void Keeper::tell_setbacks(Terminal& t) const {
    if (t.policy.setbacks() == 0) {
        t.setback_told = false;
    } else if (t.policy.setbacks() >= kSetbacksToTell && !t.setback_told) {
        t.setback_told = true;
        const std::string what = t.setback + "; it is tried for ever, 30 s apart at the most";
        log_error("ALERT terminal " + t.config.account_name + " " + what);
        sight_.report_error("terminal " + t.config.account_name, what);
    }
}

void Keeper::give_up(const Terminal& t) const {
    const std::string& name = t.config.account_name;
    const std::string what =
        "does not stay up: three restarts without a minute of health; look into " + t.folder + "/" +
        "output, then `millrace terminal start " + name + "`";
    log_error("ALERT terminal " + name + " " + what);
    sight_.report_error("terminal " + name, what);
    std::ofstream{t.folder + "/" + kFailedFile} << read_boot_id() << '\n';  // if there is room
}

void Keeper::start_due(Nanos now) {
    std::vector<Candidate> candidates;
    std::size_t starting = 0;
    for (auto& t : terminals_) {
        const bool due = t->policy.wants_start(now) && !ending_;
        const bool needed =
            due && (t->needed || sight_.has_live_orders(t->account, t->config.login));
        candidates.push_back({due, needed, t->policy.again()});
        // One that nobody can see (its account is gone, the broker stage is down) gives its place
        // up.
        starting +=
            t->policy.state() == State::Starting && now - t->since < seconds(t->config.ready_s) ? 1
                                                                                                : 0;
    }
    const std::size_t places =
        settings_.starting_max > starting ? settings_.starting_max - starting : 0;
    for (const std::size_t i : next_starts(candidates, places)) {
        start(*terminals_[i], now);
    }
}

void Keeper::start(Terminal& t, Nanos now) {
    std::vector<std::string> launcher = launcher_;
    launcher.insert(launcher.end(), {"-a", t.config.account_name});
    std::string message;
    const Launched launched = t.process.start(std::move(launcher), message);
    if (launched == Launched::NotYet) {
        return;
    }
    if (launched == Launched::Failed) {
        t.setback = "cannot start: " + message;
        say(t, t.setback);
        t.policy.not_started(now);
        return;
    }
    t.policy.started(now);
    t.told = State::Starting;
    t.since = now;
    say(t, (launched == Launched::Adopted ? "adopted pid " : "started, pid ") +
               std::to_string(t.process.pid()));
}

void Keeper::end(Nanos now) {
    ending_ = true;
    for (auto& t : terminals_) {
        forget_failure(t->folder);
        if (!t->config.keep) {
            t->policy.stop(now);
        }
    }
}

bool Keeper::ended() const {
    return std::all_of(terminals_.begin(), terminals_.end(), [](const auto& t) {
        return t->config.keep || t->policy.state() == State::Stopped;
    });
}

std::string Keeper::list(Nanos now) const {
    json all = json::array();
    for (const auto& t : terminals_) {
        all.push_back({{"account", t->config.account_name},
                       {"state", to_string(t->policy.state())},
                       {"for_s", (now - t->since).value / 1'000'000'000},
                       {"pid", t->process.pid()},
                       {"session", t->session},
                       {"restarts", t->policy.restarts()},
                       {"last_end", t->process.last_end()}});
    }
    return json{{"terminals", all}}.dump();
}

std::string Keeper::do_for(const std::string& verb, const std::vector<std::string>& names,
                           const Operator& from, Nanos now) {
    std::vector<Terminal*> chosen;
    for (const std::string& name : names) {
        const auto at = std::find_if(terminals_.begin(), terminals_.end(),
                                     [&](const auto& t) { return t->config.account_name == name; });
        if (at == terminals_.end()) {
            return json{{"error", "account \"" + name + "\" has no terminal that is started here"}}
                .dump();
        }
        chosen.push_back(at->get());
    }
    for (Terminal* t : chosen) {
        // First the file: a stop that was answered holds, whatever becomes of us.
        const std::string stopped = t->folder + "/" + kStoppedFile;
        std::error_code none;
        fs::create_directories(t->folder, none);
        if (verb == "stop" && !std::ofstream{stopped}) {
            return json{{"error", "cannot write " + stopped}}.dump();
        }
        if (verb != "stop") {
            ::unlink(stopped.c_str());
        }
        forget_failure(t->folder);
        log_info("AUDIT terminal " + t->config.account_name + ": " + verb + " by uid " +
                 std::to_string(from.uid) + ", pid " + std::to_string(from.pid));
        verb == "stop"    ? t->policy.stop(now)
        : verb == "start" ? t->policy.start(now)
                          : t->policy.restart(now);
    }
    return json{{"ok", true}}.dump();
}

std::string Keeper::answer(const std::string& line, const Operator& from, Nanos now) {
    const json request = json::parse(line, nullptr, false);
    const std::string verb =
        request.is_object() ? request.value("verb", json{}).dump() : std::string{};
    if (verb == "\"list\"") {
        return list(now);
    }
    std::vector<std::string> names;
    for (const json& name :
         request.is_object() ? request.value("accounts", json::array()) : json::array()) {
        names.push_back(name.is_string() ? name.get<std::string>() : "");
    }
    if (ending_) {
        return json{{"error", "the pipeline is being stopped"}}.dump();
    }
    for (const char* known : {"start", "stop", "restart"}) {
        if (verb == "\"" + std::string{known} + "\"" && !names.empty()) {
            return do_for(known, names, from, now);
        }
    }
    return json{{"error", "no such command"}}.dump();
}

}  // namespace millrace::terminals
