#include "tools/explain/explain.h"

#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <memory>

#include "shm/clock.h"
#include "tools/explain/audit.h"
#include "tools/explain/from_store.h"
#include "tools/explain/halt.h"
#include "tools/explain/open_now.h"
#include "tools/explain/show.h"
#include "tools/explain/subject.h"
#include "tools/explain/watched.h"
#include "tools/explain/words.h"
#include "tools/inspect/command.h"
#include "tools/millrace/actor.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/stages.h"
#include "tools/query/history.h"

namespace millrace {
namespace {

using namespace explain;

constexpr const char* kHelp =
    "Without -c, -s or --dir: the only pipeline that runs here. One that has stopped, or a\n"
    "copy of its journal directory: -c FILE or --dir DIR. It only reads.\n"
    "\n"
    "  millrace explain signal 0189f2a4-0000-7000-8000-000000000001\n"
    "  millrace explain order 4711              by the number that `millrace orders` shows,\n"
    "                                           or by the magic number at the broker\n"
    "  millrace explain account gold-desk --dir /backup/journal\n"
    "  millrace explain audit --since 2h\n"
    "\n"
    "Manual: man -l tools/explain/millrace-explain.1";
constexpr std::size_t kColumns = 80;
constexpr int kWatchMs = 1000;

struct Asked {
    WhereOptions where;
    bool json = false;
    std::string id;
    std::string account;
    bool watch = false;
    std::string since;
    std::string until;
    bool definitions = false;
    DisplayPreferences display;
};

/// What people want to see otherwise. Programs get the same for everybody.
void use_preferences(Asked& asked, const Where& where) {
    if (!asked.json) {
        const Actor user = this_actor(true);
        asked.display = display_preferences(where.dir, std::string{view(user.user)});
        show_times_in(asked.display.time_zone);
    }
}

int write_out(const std::string& text) {
    const bool written =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    return written ? kExitOk : kExitError;
}

int explain_one(Asked& asked, Subject::What what) {
    std::string message;
    const auto where = find_where(asked.where, message);
    if (!where) {
        return complain(message);
    }
    const auto subject = parse_subject(what, asked.id, *where, message);
    if (!subject) {
        return complain(message);
    }
    use_preferences(asked, *where);
    const Story story = tell_story(*subject, *where);
    if (story.found()) {
        return write_out(asked.json ? story_json(story, where->book)
                                    : story_text(story, where->book));
    }
    std::string stored;
    if (tell_from_store(*subject, *where, asked.json, stored, message)) {
        return write_out(stored);
    }
    return complain(not_found(story, *where, message));
}

/// One picture. @param now nullptr: the logs give no state, so the store is asked.
bool one_sheet(const Asked& asked, OpenOf of, const Where& where, const OpenNow* now,
               AccountId account, std::string& out, std::string& message) {
    Sheet sheet;
    if (now != nullptr) {
        const Nanos at = where.segment != nullptr ? where.segment->clock().now() : Nanos{wall_ns()};
        sheet = now->sheet(of, account, at);
    } else if (!sheet_of_store(where, of, account, sheet, message)) {
        return false;
    }
    out = asked.json ? sheet_json(sheet, of) : sheet_text(sheet, of, kColumns, asked.display);
    return true;
}

int watch(const Asked& asked, OpenOf of, Watched& watched, AccountId account) {
    const bool screen = ::isatty(STDOUT_FILENO) != 0 && !asked.json;
    inspect::Interruptible waiting;
    std::string out;
    std::string message;
    do {
        if (const std::string notice = watched.take_notice(); !notice.empty()) {
            std::fprintf(stderr, "millrace: note: %s\n", notice.c_str());
        }
        if (!one_sheet(asked, of, watched.where(), watched.now(), account, out, message)) {
            return complain(message);
        }
        if (write_out((screen ? "\x1b[H\x1b[2J" : "") + out) != kExitOk) {
            return kExitError;
        }
        if (asked.watch && waiting.sleep_ms(kWatchMs)) {
            return kExitOk;
        }
        if (asked.watch && !watched.advance(message)) {
            return complain(message);
        }
    } while (asked.watch);
    return kExitOk;
}

int show_open(Asked& asked, OpenOf of) {
    std::string message;
    Watched watched{asked.where};
    if (!watched.find(message)) {
        return complain(message);
    }
    AccountId account{kNoId};
    if (!asked.account.empty()) {
        const auto subject =
            parse_subject(Subject::What::Account, asked.account, watched.where(), message);
        if (!subject) {
            return complain(message);
        }
        account = subject->account;
    }
    use_preferences(asked, watched.where());
    return watch(asked, of, watched, account);
}

bool read_moment(const char* option, const std::string& text, Nanos& out) {
    const auto moment =
        text.empty() ? std::optional<std::int64_t>{0} : parse_moment(text, wall_ns());
    if (!moment) {
        complain(std::string{option} + " " + text +
                 ": not a time. Give 2026-03-18, 2026-03-18T09:30:00Z (UTC), or a time back from "
                 "now: 90s, 15m, 2h, 7d");
        return false;
    }
    out = Nanos{*moment};
    return true;
}

int show_audit(Asked& asked) {
    AuditOptions options;
    options.definitions = asked.definitions;
    if (!read_moment("--since", asked.since, options.since) ||
        !read_moment("--until", asked.until, options.until)) {
        return kExitError;
    }
    std::string message;
    auto where = find_where(asked.where, message);
    if (!where) {
        return complain(message);
    }
    use_preferences(asked, *where);
    if (where->segment == nullptr) {
        std::string notice;
        where->through = last_survived(*where, notice);
        if (!notice.empty()) {
            std::fprintf(stderr, "millrace: note: %s\n", notice.c_str());
        }
    }
    int status = kExitOk;
    std::uint64_t unknown = 0;
    const Scanned read = audit(*where, options, [&](const AuditEntry& entry) {
        unknown += entry.record.type == InputType::Admin && !entry.answer_known ? 1 : 0;
        status = status == kExitOk ? write_out(asked.json ? audit_json(entry) : audit_text(entry))
                                   : status;
    });
    if (!asked.json && status == kExitOk) {
        status = write_out("read: journal " + range_text(read.range) + "\n");
        if (unknown > 0) {
            std::fprintf(stderr,
                         "millrace: note: whether the engine took %" PRIu64
                         " of these commands is not known: no snapshot is as old\n",
                         unknown);
        }
    }
    return read.fault.empty() ? status : complain(read.fault);
}

void add_where(CLI::App* app, const std::shared_ptr<Asked>& asked) {
    auto* config = app->add_option("-c,--config", asked->where.target.config,
                                   "configuration file of the pipeline");
    auto* segment =
        app->add_option("-s,--segment", asked->where.target.segment, "name or path of its segment");
    auto* dir = app->add_option("--dir", asked->where.dir, "the journal directory itself");
    dir->excludes(config)->excludes(segment);
    app->add_option("--store", asked->where.store, "the SQLite file, if not as configured");
    app->add_flag("--json", asked->json, "for a program");
}

void add_subject(CLI::App* to, Command& command, const char* word, Subject::What what,
                 const char* id, const char* help) {
    CLI::App* sub = to->add_subcommand(word, help);
    auto asked = std::make_shared<Asked>();
    add_where(sub, asked);
    sub->add_option("ID", asked->id, id)->required();
    sub->callback([&command, asked, what] {
        command.run = [asked, what] { return explain_one(*asked, what); };
    });
}

void add_open(CLI::App& app, Command& command, const char* word, OpenOf of, const char* help) {
    CLI::App* sub = app.add_subcommand(word, help);
    auto asked = std::make_shared<Asked>();
    add_where(sub, asked);
    sub->add_option("-a,--account", asked->account, "name, number or login of one account");
    sub->add_flag("--watch", asked->watch, "again each second, until Ctrl-C");
    sub->callback(
        [&command, asked, of] { command.run = [asked, of] { return show_open(*asked, of); }; });
}

}  // namespace

void add_explain_commands(CLI::App& app, Command& command) {
    CLI::App* explain = app.add_subcommand(
        "explain", "why each account did or did not trade, with the evidence; who gave commands");
    explain->require_subcommand(1);
    explain->footer(kHelp);
    add_subject(explain, command, "signal", Subject::What::Signal, "its UUID",
                "every account's order of a signal, or why there is none");
    add_subject(explain, command, "order", Subject::What::Order, "its number or magic number",
                "one order: every state, when, and on what evidence");
    add_subject(explain, command, "account", Subject::What::Account, "its name, number or login",
                "state, link, limits, what happened to it, and its orders");
    CLI::App* sub = explain->add_subcommand("audit", "who gave which command, where and when");
    auto asked = std::make_shared<Asked>();
    add_where(sub, asked);
    sub->add_option("--since", asked->since, "from this time on (UTC, or 15m = 15 minutes ago)");
    sub->add_option("--until", asked->until, "before this time");
    sub->add_flag("--definitions", asked->definitions, "each record of a configuration too");
    sub->callback([&command, asked] { command.run = [asked] { return show_audit(*asked); }; });
    add_open(app, command, "positions", OpenOf::Positions, "what is open now, on which account");
    add_open(app, command, "orders", OpenOf::Orders, "orders that have not ended");
    add_open(app, command, "accounts", OpenOf::Accounts, "every account: state, link, equity");
}

}  // namespace millrace
