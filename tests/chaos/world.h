// World: one whole pipeline under load, for tests that hurt it: `millrace up` with each stage a
// process, the simulated broker as another, and a source over TCP, which all outlive each other.
//
// The oracle is outside the victim: the broker's own books and the source's own log of what it was
// told. Nothing that the pipeline says about itself is believed.
#pragma once

#include "tests/ops/quiet_port.h"
#include "tools/demo_run/input.h"
#include "tools/demo_run/known_orders.h"
#include "tools/demo_run/pipeline.h"
#include "tools/demo_run/source.h"
#include "tools/demo_run/verdict.h"

#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace millrace::chaos {

/// One change of a text. (Not by a JSON library: it writes 0.00001 as 1e-05, which is refused.)
struct Edit {
    std::string find;
    std::string put;
};

struct WorldOptions {
    std::uint32_t accounts = 6;
    std::uint32_t rate = 40;  // signals a second
    std::uint64_t seed = 1;
    std::vector<Edit> edits;   // of millrace.json
    std::string journal_dir;   // "" = in the workspace
    bool keep_stamps = false;  // what the source sends again has its first stamp
    std::uint32_t ttl_ms = 0;  // of signals; 0 = the default
    /// What excuses a close, modify or cancel that came to nothing, besides (excuses.h).
    std::set<Reason> exits_excused;
};

/// What became of everything, in one picture.
struct Judgement {
    demo::Verdict verdict;
    std::vector<std::string> problems;  // every reason why this run was not good, for people
    std::uint64_t book_executions = 0;
    demo::KnownOrders known;  // not compared where the log was lost

    [[nodiscard]] bool good() const noexcept { return problems.empty(); }
};

/// Threads: one. Destroying it ends every process that it started.
class World {
public:
    explicit World(WorldOptions options);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    /// Starts everything and logs the source in. @return what went wrong; empty = all is up.
    [[nodiscard]] std::string start();

    /// One round of the source: sends what is due, waits up to a millisecond for answers.
    void turn();
    /// Turns until `done` or until `limit` has passed. @return done().
    bool turn_until(const std::function<bool()>& done, Nanos limit);
    void turn_for(Nanos time);
    /// No new signals from the script from now on (false: again).
    void hush(bool quiet) noexcept { quiet_ = quiet; }
    /// Hushes, cancels the pending orders, waits for the end of every signal.
    /// @return false if some have none after `limit`.
    bool rest(Nanos limit);

    /// Turns until each account was told that an opening is filled which was sent after this call.
    /// @return false if one was not within `limit`: it does not trade any more.
    [[nodiscard]] bool each_account_fills(Nanos limit);

    /// Kills whoever holds this role. @return false if nobody does at this moment.
    [[nodiscard]] bool kill_stage(StageId id, int signal = 9);
    /// SIGKILL for everything, as a host that goes down; the source stays.
    void kill_everything();
    /// Starts everything again, in a new segment if that of before is gone.
    [[nodiscard]] std::string start_again();
    /// Starts the two that nobody else restarts, if they are dead.
    [[nodiscard]] std::string heal();

    /// A signal of another source that the engine has accepted: the verdict on ours leaves it out.
    void count_other(const SignalId& id) { others_.insert(demo::comment_of(id)); }

    /// The log is lost, with what no store knew of it: nothing is replayed from its beginning at
    /// the end, and what it alone knew may be forgotten.
    void lose_log() noexcept { log_was_lost_ = true; }

    /// Starts `millrace WORDS -c CONFIG`; what it says is in command.log.
    [[nodiscard]] Result<demo::Child> spawn(const std::vector<std::string>& words,
                                            std::string& message) const;
    /// Runs `millrace WORDS -c CONFIG`. @return exit status; -1 if it took longer than `limit` or
    /// was no longer waited for because `given_up` said so.
    [[nodiscard]] int command(const std::vector<std::string>& words, Nanos limit,
                              std::string* output = nullptr,
                              const std::function<bool()>& given_up = {});
    /// One line on the broker's control socket. @return its answer, {"ok": false} if there is none.
    [[nodiscard]] nlohmann::json control(const nlohmann::json& line);

    /// Lets everything come to its end: pendings cancelled, each signal ended, nothing in doubt;
    /// stops the pipeline in order, then judges. Each wait is bounded; what kept it is a problem.
    [[nodiscard]] Judgement finish(Nanos settle_max = seconds(240));

    [[nodiscard]] demo::Pipeline& pipeline() noexcept { return *pipeline_; }
    [[nodiscard]] const Segment& segment() const noexcept { return pipeline_->segment(); }
    [[nodiscard]] demo::Source& source() noexcept { return *source_; }
    [[nodiscard]] const demo::Workspace& workspace() const noexcept { return workspace_; }
    /// Text of `millrace up`'s log so far (its stages write there too).
    [[nodiscard]] std::string log() const;
    /// Number of account orders that the source was told are filled, by account id.
    [[nodiscard]] std::map<std::uint32_t, std::uint64_t> fills() const;

private:
    [[nodiscard]] std::string prepare();
    [[nodiscard]] std::string journal_dir() const;
    void edit_config() const;
    [[nodiscard]] std::string connect();
    void settle(Nanos limit, Judgement& judgement);
    void judge(Judgement& judgement);
    void judge_by_books(Judgement& judgement);
    void judge_store(Judgement& judgement);
    void reap();
    void cancel_working();

    WorldOptions options_;
    test::QuietPort ports_[2];
    demo::Input input_;
    demo::Workspace workspace_;
    std::unique_ptr<demo::Pipeline> pipeline_;
    std::unique_ptr<demo::Source> source_;
    std::unique_ptr<demo::Script> script_;
    std::optional<demo::Planned> waiting_;  // was due, and the client was full
    std::map<std::uint32_t, std::uint64_t> logins_;
    std::set<std::string> others_;  // comments of orders of other sources
    std::vector<int> killed_;       // may become zombies of ours
    std::int64_t began_ns_ = 0;
    bool quiet_ = false;
    bool log_was_lost_ = false;
};

/// Text of all problems and the ends of the logs, for a failed assertion.
[[nodiscard]] std::string describe(const Judgement& judgement, const World& world);

}  // namespace millrace::chaos
