#include "tools/millrace/recover_store.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "shm/role.h"
#include "tools/millrace/recover_build.h"
#include "tools/millrace/recover_files.h"
#include "tools/millrace/recover_history.h"
#include "tools/millrace/recover_rungs.h"
#include "tools/millrace/second_check.h"
#include "tools/millrace/second_config.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

int complain(const std::string& what) {
    std::fprintf(stderr, "millrace: not recovered: %s\n", what.c_str());
    return kExitError;
}

using Number = unsigned long long;

int complain_of_holder(const std::string& holder) {
    complain("`millrace up`, or another command that changes this journal, keeps it: " + holder);
    return kExitRoleHeld;
}

/// Takes the supervisor's role: to read the stores takes minutes, and a service manager may start
/// `up` meanwhile, which would begin with nothing in the directory that this one is making.
/// @return kExitOk, or why not, which was said.
int keep_starts_out(const std::string& dir, RoleLock& lock) {
    std::error_code error;
    if (std::filesystem::create_directories(dir, error)) {
        std::filesystem::permissions(dir, std::filesystem::perms::owner_all, error);
    }
    std::string holder;
    auto taken = RoleLock::try_acquire(dir, "supervisor", holder);
    if (!taken) {
        return taken.code() == Errc::NotOwner
                   ? complain_of_holder(holder)
                   : complain("cannot lock " + dir +
                              "/locks/supervisor.lock: " + std::strerror(taken.error().sys_errno));
    }
    lock = std::move(taken).value();
    return kExitOk;
}

/// Why this rung may not be taken; empty if it may.
std::string better_rung(const Config& config) {
    if (const std::string living = living_roles(config.journal.dir); !living.empty()) {
        return "stages of this journal are alive: " + living;
    }
    std::error_code error;
    if (std::filesystem::exists(config.segment_path(), error)) {
        return "there is a segment, " + config.segment_path() +
               ": `millrace up` goes on from it; if it cannot, remove it";
    }
    const std::string file = journal_file_in(config.journal.dir);
    return file.empty() ? second_holds_lost_log(configured_second(config).path)
                        : "there is " + file +
                              ": `millrace up` recovers from the journal; if it cannot, move its "
                              "files away, all of them";
}

void tell(const StoredState& stored, const RecoveredJournal& made, bool dry_run) {
    std::printf("%s has followed the log up to record %llu; its newest time is %s\n",
                stored.where.c_str(), static_cast<Number>(stored.cursor.seq.value),
                time_text(stored.latest).c_str());
    std::printf("%s a journal that begins at record %llu, order %llu, epoch %llu\n",
                dry_run ? "would make" : "made", static_cast<Number>(made.seq + 1),
                static_cast<Number>(made.next_intent), static_cast<Number>(made.epoch + 1));
    std::printf("  %u of %llu signals are remembered: they will not be executed again\n",
                made.signals, static_cast<Number>(stored.signals_known));
    std::printf("  %u orders without a final report: IN_DOUBT, looked up, never sent again\n",
                made.live_orders);
    std::printf("  %u open positions, which can be closed\n", made.open_positions);
    if (made.left_out != 0) {
        std::printf("  %u orders act on something the store does not know: left to the broker\n",
                    made.left_out);
    }
    std::printf(
        "LOST: what the log took in after that record. Signals stamped before %s and not among "
        "those above are refused (StaleSignal), those without a stamp for as long as the ledger "
        "reaches back; orders of that time are in the brokers' books only: compare them\n",
        time_text(seconds(made.from_s)).c_str());
    for (const PausedAccount& account : made.paused) {
        const char* const name = account.name.c_str();
        std::printf(
            "account %s is paused: netting, with open positions that may have changed since. "
            "Compare them with the broker's, then `millrace account %s %s`\n",
            name, account.entries_stopped ? "reduce-only" : "resume", name);
        if (account.entries_stopped) {
            std::printf(
                "  its entries were stopped, or its link was down, which hides whether they were: "
                "`millrace account resume %s` opens them too\n",
                name);
        }
    }
    for (const std::string& account : made.unsure) {
        std::printf(
            "account %s stays reduce-only: its link was down when the store heard of it last, "
            "which hides whether an operator or a loss limit had stopped its entries. If not, "
            "`millrace account resume %s`\n",
            account.c_str(), account.c_str());
    }
    if (made.watches_losses) {
        std::printf(
            "daily loss and drawdown are measured anew: the day begins, and the highest equity is, "
            "what each terminal tells first. What was lost today already no longer counts\n");
    }
    if (made.killed) {
        std::printf(
            "entries are KILLED: the store says that the kill switch was used, and not whether "
            "it was lifted. `millrace unkill all` lifts it\n");
    }
    if (made.instance == 0) {
        std::printf(
            "terminals will refuse this directory: the store does not say which instance the "
            "lost one was (gateway/BRIDGE.md, \"Another directory\")\n");
    }
}

/// Each by name, as far as anybody reads.
std::string gaps_text(const StoredState& stored) {
    constexpr std::size_t kShown = 10;
    std::string text;
    for (std::size_t i = 0; i < std::min(stored.gaps.size(), kShown); ++i) {
        text += "\n  it lacks " + stored.gaps[i];
    }
    const std::size_t more = stored.gaps.size() - std::min(stored.gaps.size(), kShown);
    return more == 0 ? text : text + "\n  and " + std::to_string(more) + " more";
}

}  // namespace

int recover_from_store(const Config& config, const RecoverRequest& request) {
    RoleLock lock;
    if (request.dry_run) {  // which leaves nothing behind, not even a lock's file
        const int pid = RoleLock::holder_pid(config.journal.dir, "supervisor");
        if (pid != 0) {
            return complain_of_holder(process_text(pid));
        }
    } else if (const int refused = keep_starts_out(config.journal.dir, lock); refused != kExitOk) {
        return refused;
    }
    if (const std::string why = better_rung(config); !why.empty()) {
        return complain(why);
    }
    std::string message;
    StoredLimits limits = stored_limits(config);
    limits.gaps_will_do = request.accept_gaps;
    limits.backup_will_do = request.take_backup;
    const std::vector<StoreRung> rungs = request.from == "best"
                                             ? read_rungs(config, limits)
                                             : std::vector{read_rung(request.from, config, limits)};
    const StoreRung* const rung =
        request.from == "best" ? best_rung(rungs, message) : &rungs.front();
    if (rung == nullptr || !rung->state) {
        return complain(rung == nullptr ? message : rung->name + ": " + rung->why);
    }
    for (const StoreRung& other : rungs) {
        if (&other != rung) {  // one that could not be read may have come further
            std::printf("not taken: %s: %s\n", other.name.c_str(), to_string(other).c_str());
        }
    }
    const StoredState& stored = *rung->state;
    if (!stored.gaps.empty() && !request.accept_gaps) {
        return complain(rung->name + " does not hold a whole state:" + gaps_text(stored) +
                        (rung->why.empty() ? "" : "\n" + rung->why) +
                        "\nTake another store, or add --accept-gaps: what it lacks then stands "
                        "in the brokers' books only, and nobody here manages it");
    }
    const std::string history = keep_history(config, rung->name, stored, request.dry_run);
    const auto made = build_journal(config, stored, request.dry_run, message);
    if (!made) {
        return complain(message);
    }
    if (!rung->why.empty()) {
        std::printf("%s\n", rung->why.c_str());
    }
    tell(stored, made.value(), request.dry_run);
    if (!history.empty()) {
        std::printf("%s\n", history.c_str());
    }
    if (!request.dry_run) {
        std::printf("`millrace up` starts from it, and asks every broker before it trades\n");
    }
    return kExitOk;
}

}  // namespace millrace
