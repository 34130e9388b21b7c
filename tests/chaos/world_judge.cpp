// How a world is judged: by the broker's books and the source's log, by a replay of all records,
// and by what the store believes.
#include "tests/chaos/excuses.h"
#include "tests/chaos/world.h"
#include "tests/recovery/replayed_state.h"
#include "tools/demo_run/evidence.h"
#include "tools/demo_run/store_check.h"
#include "tools/simbroker/append_file.h"

#include <unistd.h>

#include <algorithm>

namespace millrace::chaos {
namespace {

constexpr std::uint64_t kMagicTag = RiskSpec{}.magic_tag;
constexpr std::size_t kProblemsShown = 12;

}  // namespace

Judgement World::finish(Nanos settle_max) {
    Judgement judgement;
    settle(settle_max, judgement);
    if (const std::string why = pipeline_->stop(); !why.empty()) {
        judgement.problems.push_back(why);
    }
    if (::access(pipeline_->segment_path().c_str(), F_OK) == 0) {
        judgement.problems.push_back("the stop was not clean: the segment is kept");
    }
    // A log that was rebuilt from a store begins later than the state: no fault. All else is one.
    const auto replays = [&](const std::string& differs) {
        if (!differs.empty() && !(log_was_lost_ && differs.starts_with(test::kBeginsLater))) {
            judgement.problems.push_back(differs);
        }
    };
    replays(test::state_differs_from_replay(journal_dir()));
    if (log().find("core-0: started") != std::string::npos) {  // in processes
        replays(test::live_state_differs_from_replay(journal_dir(), log()));
    }
    judge(judgement);
    return judgement;
}

void World::judge(Judgement& judgement) {
    judge_by_books(judgement);
    for (const std::string& end : without_excuse(source_->lives(), options_.exits_excused)) {
        judgement.problems.push_back(end);
    }
    judge_store(judgement);
}

void World::judge_by_books(Judgement& judgement) {
    demo::Evidence books{kMagicTag};
    const auto bytes = sim::read_file(pipeline_->books_path());
    if (!bytes || !sim::scan_books(bytes.value(), [&](const auto& r) { books.add(r); })) {
        judgement.problems.push_back("the broker's books cannot be read");
    }
    std::string message;
    auto log = read_ack_log(workspace_.path("source.acks"), message);
    if (!log) {
        judgement.problems.push_back("the source's log cannot be read: " + message);
    }
    // One outage that never ends: under such fire a signal may be late, refused or expired. It may
    // not be lost, doubled or executed without an order of ours, and an opening that was accepted
    // has an order on each account of its group.
    demo::Outages always;
    always.add({"chaos", Nanos{1}, Nanos{}});
    const auto entries = log ? log.value().entries : std::vector<AckLogEntry>{};
    // A store's row of a signal that was under way says 0 orders: after the loss of the log its end
    // tells no more than that, so nobody counts there.
    std::map<std::string, std::size_t> groups;
    for (const demo::GroupPlan& g : pipeline_->plan().groups) {
        if (!log_was_lost_) {
            groups[g.name] = g.members.size();
        }
    }
    judgement.verdict = demo::judge({source_->lives(), entries, books, always, logins_, false,
                                     std::move(groups), log_was_lost_});
    judgement.book_executions = books.own_deals();
    const auto is_of_another = [&](const demo::Problem& p) {
        const auto named = [&](const std::string& c) {
            return p.text.find(c) != std::string::npos;
        };
        return p.wrong == demo::Wrong::Unknown && p.signal == SignalId{} &&
               std::any_of(others_.begin(), others_.end(), named);
    };
    std::erase_if(judgement.verdict.problems, is_of_another);
    for (const demo::Problem& p : judgement.verdict.problems) {
        judgement.problems.push_back(std::string{to_string(p.wrong)} + " " + to_hex(p.signal) +
                                     ": " + p.text);
    }
}

/// The store follows behind; after a clean stop it has everything, and what is open and done in it
/// is what the broker has.
void World::judge_store(Judgement& judgement) {
    std::vector<std::string>& problems = judgement.problems;
    const std::string path = workspace_.path("millrace.db");
    std::string message;
    const auto store = demo::read_store(path, message);
    if (!store) {
        problems.push_back("SQLite store: " + message);
        return;
    }
    if (store.value().signals_accepted != source_->counts().accepted + others_.size()) {
        problems.push_back(
            "the SQLite store has " + std::to_string(store.value().signals_accepted) +
            " accepted signals, the source " + std::to_string(source_->counts().accepted) +
            (others_.empty() ? "" : " and another " + std::to_string(others_.size())));
    }
    if (store.value().orders_not_final != 0) {
        problems.push_back("the SQLite store has " +
                           std::to_string(store.value().orders_not_final) +
                           " orders that are not final");
    }
    if (!log_was_lost_) {
        judgement.known = demo::compare_known_orders(pipeline_->books_path(), path, logins_);
        problems.insert(problems.end(), judgement.known.problems.begin(),
                        judgement.known.problems.end());
    }
}

std::string describe(const Judgement& judgement, const World& world) {
    std::string text = std::to_string(judgement.problems.size()) + " problems\n";
    for (std::size_t i = 0; i < judgement.problems.size() && i < kProblemsShown; ++i) {
        text += "  " + judgement.problems[i] + "\n";
    }
    return text + "millrace up says last:\n" +
           demo::tail_of(world.workspace().path("millrace.log"), 25) + "the broker says last:\n" +
           demo::tail_of(world.workspace().path("simbroker.log"), 5);
}

}  // namespace millrace::chaos
