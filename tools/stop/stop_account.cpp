#include "tools/stop/stop_account.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>

#include "shm/clock.h"
#include "tools/explain/subject.h"
#include "tools/explain/watched.h"
#include "tools/inspect/command.h"
#include "tools/millrace/operator.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

using namespace explain;

constexpr int kLookEveryMs = 100;
constexpr std::size_t kColumns = 80;

/// What the log says of an account.
struct OpenThere {
    std::string name;
    AccountId id;
    std::int64_t orders = 0;
    std::int64_t positions = 0;
    Sequence seq{};       // the last record that this takes in
    bool killed = false;  // by itself; a kill of all is taken back as one
    [[nodiscard]] bool flat() const noexcept { return orders == 0 && positions == 0; }
};

const Sheet::Cell& cell(const Sheet& sheet, std::size_t row, const char* column) {
    const auto at = std::find(sheet.columns.begin(), sheet.columns.end(), column);
    return sheet.rows[row].at(static_cast<std::size_t>(at - sheet.columns.begin()));
}

void look(const Watched& watched, OpenThere& account) {
    const Sheet sheet = watched.now()->sheet(OpenOf::Accounts, account.id, Nanos{wall_ns()});
    if (sheet.rows.empty()) {
        return;
    }
    account.seq = sheet.seq;
    account.orders = std::get<std::int64_t>(cell(sheet, 0, "orders"));
    account.positions = std::get<std::int64_t>(cell(sheet, 0, "positions"));
    account.killed = std::get<std::string>(cell(sheet, 0, "killed")) == "ACCOUNT";
}

void show(const Watched& watched, const OpenThere& account) {
    std::printf("%s: %ld positions, %ld orders\n", account.name.c_str(),
                static_cast<long>(account.positions), static_cast<long>(account.orders));
    for (const auto& [of, some] : {std::pair{OpenOf::Positions, account.positions != 0},
                                   std::pair{OpenOf::Orders, account.orders != 0}}) {
        if (some) {
            const Sheet sheet = watched.now()->sheet(of, account.id, Nanos{wall_ns()});
            std::fputs(sheet_text(sheet, of, kColumns).c_str(), stdout);
        }
    }
    std::fflush(stdout);
}

/// @return whether somebody said yes.
bool agreed(const StopRequest& request) {
    if (request.yes) {
        return true;
    }
    if (::isatty(STDIN_FILENO) == 0) {
        complain("nobody can be asked here: say --yes to close and cancel all of this");
        return false;
    }
    std::printf("Close these positions and cancel these orders? [y/N] ");
    std::fflush(stdout);
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == "y" || answer == "Y" || answer == "yes") {
        return true;
    }
    complain("nothing was done");
    return false;
}

KillRequest kill_of(const OpenThere& account, bool clear) {
    KillRequest kill;
    kill.account = account.name;
    kill.cancel = !clear;
    kill.flatten = !clear;
    kill.clear = clear;
    return kill;
}

/// Until the log says flat of all, and has got to `from`, where the kill stands: what it holds
/// before may lack an entry that a slow disk has not taken yet. @return false: `message` says why
/// that will not be seen.
bool wait_flat(Watched& watched, std::vector<OpenThere>& accounts, Sequence from, int wait_s,
               std::string& message) {
    const std::int64_t until = monotonic_ns() + seconds(wait_s).value;
    inspect::Interruptible waiting;
    for (;;) {
        if (!watched.advance(message)) {
            return false;
        }
        bool flat = true;
        for (OpenThere& account : accounts) {
            look(watched, account);
            flat = flat && account.flat() && account.seq >= from;
        }
        if (flat) {
            return true;
        }
        if (monotonic_ns() > until) {
            message = "still open after " + std::to_string(wait_s) + " s";
            return false;
        }
        if (waiting.sleep_ms(kLookEveryMs)) {
            message = "interrupted";
            return false;
        }
    }
}

/// The accounts that are named, as they stand. @return nothing: it was said why.
std::optional<std::vector<OpenThere>> find(const StopRequest& request, const Watched& watched) {
    std::vector<OpenThere> accounts;
    std::string message;
    for (const std::string& name : request.accounts) {
        const auto subject = parse_subject(Subject::What::Account, name, watched.where(), message);
        if (!subject) {
            complain(message);
            return std::nullopt;
        }
        accounts.push_back({.name = name, .id = subject->account});
        look(watched, accounts.back());
    }
    return accounts;
}

int not_flat(const std::vector<OpenThere>& accounts, const std::string& why) {
    for (const OpenThere& account : accounts) {
        if (!account.flat()) {
            complain(account.name + ": " + std::to_string(account.positions) + " positions and " +
                     std::to_string(account.orders) +
                     " orders are open; it is paused and its kill switch stays in force. See "
                     "`millrace positions -a " +
                     account.name + "`, and its terminal: trading may be switched off there");
        }
    }
    complain(why + "; the same command again goes on");
    return kExitNotClean;
}

}  // namespace

int stop_accounts(const StopRequest& request) {
    std::string message;
    Watched watched{{.target = request.target, .dir = {}, .store = {}}};
    if (!watched.find(message)) {
        return complain(message);
    }
    if (watched.now() == nullptr) {
        return complain(
            "what is open there is not known: " + watched.take_notice() +
            "; `millrace kill --account NAME --cancel --flatten` needs no such picture");
    }
    auto accounts = find(request, watched);
    if (!accounts) {
        return kExitError;
    }
    const std::vector<OpenThere> before = *accounts;
    for (const OpenThere& account : before) {
        show(watched, account);
    }
    if (request.dry_run) {
        std::printf("dry run: nothing was done\n");
        return kExitOk;
    }
    if (!agreed(request)) {
        return kExitError;
    }
    if (const int code = set_accounts(request.target, AccountState::Inactive, request.accounts);
        code != kExitOk) {
        return code;
    }
    for (const OpenThere& account : before) {
        if (const int code = kill_switch(request.target, kill_of(account, false));
            code != kExitOk) {
            return code;
        }
    }
    // Acquire: pairs with the engine's release; the kills were applied before it.
    const Segment* segment = watched.where().segment.get();
    const Sequence from{
        segment == nullptr ? 0 : segment->core().completed.load(std::memory_order_acquire)};
    if (!wait_flat(watched, *accounts, from, request.wait_s, message)) {
        return not_flat(*accounts, message);
    }
    for (const OpenThere& account : before) {
        const char* name = account.name.c_str();
        if (account
                .killed) {  // by somebody else, or by this command when it did not come to its end
            std::printf(
                "%s: flat, INACTIVE; a kill was in force before and still is: `millrace unkill "
                "--account %s` and `millrace account resume %s` let it trade again\n",
                name, name, name);
            continue;
        }
        if (const int code = kill_switch(request.target, kill_of(account, true)); code != kExitOk) {
            return code;
        }
        std::printf("%s: flat, INACTIVE; `millrace account resume %s` lets it trade again\n", name,
                    name);
    }
    return kExitOk;
}

}  // namespace millrace
