#include "tools/millrace/config_check.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/engine.h"
#include "gateway/fix/profile.h"
#include "persist/backup_place.h"
#include "tools/millrace/config_reader.h"
#include "tools/millrace/fix_config.h"
#include "tools/millrace/guards_config.h"

namespace millrace {
namespace {

using Names = std::set<std::string>;

struct Checker {
    const Config& config;
    std::vector<Mistake>& mistakes;

    void add(std::string key, std::string text, unsigned line = 0) {
        mistakes.push_back({config.file, line, std::move(key), std::move(text)});
    }

    /// @return the names, for look-ups.
    template <class Items>
    Names unique_names(const char* list, const Items& items) {
        Names names;
        for (const auto& item : items) {
            if (!names.insert(item.name).second) {
                add(list, "\"" + item.name + "\" is defined twice; names must differ");
            }
        }
        return names;
    }

    void limit(const char* list, std::size_t count, std::size_t max, const char* mend) {
        if (count > max) {
            add(list, "has " + std::to_string(count) + " entries; at most " + std::to_string(max) +
                          " fit" + mend);
        }
    }

    void known(const std::string& at, const char* what, const std::string& name, const Names& names,
               unsigned line) {
        if (!names.contains(name)) {
            const std::string near = nearest(name, {names.begin(), names.end()});
            add(at,
                std::string{what} + " \"" + name + "\" is not defined" +
                    (near.empty() ? "" : "; did you mean \"" + near + "\"?"),
                line);
        }
    }
};

void check_logins(Checker& check) {
    std::map<std::uint64_t, std::string> seen;
    for (const AccountConfig& a : check.config.accounts) {
        const auto [at, fresh] = seen.emplace(a.login, a.name);
        if (!fresh) {
            check.add("accounts", "\"" + a.name + "\" and \"" + at->second + "\" both have login " +
                                      std::to_string(a.login));
        }
    }
}

void check_symbol_names(Checker& check) {
    for (const AccountConfig& a : check.config.accounts) {
        for (const SymbolConfig& s : check.config.symbols) {
            const std::string full = a.symbol_prefix + s.name + a.symbol_suffix;
            if (full.size() > sizeof(Text<16>)) {
                check.add("accounts", "\"" + a.name + "\": its name for " + s.name +
                                          " would be \"" + full + "\", longer than 16 bytes");
            }
        }
    }
}

/// An account takes a signal once at most: as a member, or for one that it stands by.
void check_standbys(Checker& check, const GroupConfig& g, const Names& accounts) {
    std::map<std::string, std::string> taken;
    for (const MemberConfig& m : g.members) {
        taken.emplace(m.account, "is a member of this group itself");
    }
    for (const MemberConfig& m : g.members) {
        if (m.standby.empty()) {
            continue;
        }
        const std::string at = "groups[\"" + g.name + "\"].members[\"" + m.account + "\"].standby";
        check.known(at, "account", m.standby, accounts, m.line);
        const auto [other, is_free] =
            taken.emplace(m.standby, "is the standby of \"" + m.account + "\" already");
        if (!is_free) {
            check.add(at, "\"" + m.standby + "\" " + other->second + "; name another account",
                      m.line);
        }
    }
}

void check_members(Checker& check, const Names& accounts, const Names& symbols) {
    for (const GroupConfig& g : check.config.groups) {
        Names members;
        const std::string at = "groups[\"" + g.name + "\"].members";
        for (const MemberConfig& m : g.members) {
            check.known(at, "account", m.account, accounts, m.line);
            if (!members.insert(m.account).second) {
                check.add(at, "account \"" + m.account + "\" is a member twice", m.line);
            }
            for (const std::string& s : m.symbols) {
                check.known(at + "[\"" + m.account + "\"].symbols", "symbol", s, symbols, m.line);
            }
        }
        check_standbys(check, g, accounts);
    }
}

/// Positions at a FIX venue are netted unless its profile can name the one to close.
void check_fix(Checker& check, const Names& symbols) {
    for (const FixConfig& f : fix_accounts(check.config)) {
        const std::string at = "accounts[\"" + f.account_name + "\"].fix";
        const auto account =
            std::find_if(check.config.accounts.begin(), check.config.accounts.end(),
                         [&](const AccountConfig& a) { return a.name == f.account_name; });
        const bool nets = fix::find_profile(f.profile)->close == fix::CloseBy::Netting;
        if (nets && account->margin_mode != MarginMode::Netting) {
            check.add(at, "profile \"" + f.profile +
                              "\" nets positions; the account needs \"margin_mode\": "
                              "\"netting\"");
        }
        Names seen;
        for (const FixSymbolConfig& s : f.symbols) {
            check.known(at + ".symbols", "symbol", s.name, symbols, 0);
            if (!seen.insert(s.name).second) {
                check.add(at + ".symbols", "\"" + s.name + "\" is there twice");
            }
        }
    }
}

void check_capacity(Checker& check) {
    std::size_t members = 0;
    for (const GroupConfig& g : check.config.groups) {
        members += g.members.size();
    }
    if (members > check.config.capacity.members) {
        check.add("capacity.members", "is " + std::to_string(check.config.capacity.members) +
                                          ", the groups have " + std::to_string(members) +
                                          " members; raise it");
    }
    const std::uint32_t orders = check.config.capacity.orders;
    for (const GroupConfig& g : check.config.groups) {
        if (g.members.size() > orders) {
            check.add("capacity.orders", "is " + std::to_string(orders) +
                                             "; an entry for group \"" + g.name + "\" takes " +
                                             std::to_string(g.members.size()) + "; raise it");
        }
    }
}

/// A signal is taken when its results have room; one that never can would stop its source for good.
void check_results(Checker& check) {
    for (const GroupConfig& g : check.config.groups) {
        // Accepted and SignalDone; for each order, of which a close may have two an account, its
        // end and a word before. One slot of a ring is never given.
        const std::size_t needed = 2 + 4 * g.members.size() + 1;
        if (needed > check.config.rings.results) {
            check.add("rings.results", "is " + std::to_string(check.config.rings.results) +
                                           "; closing a signal of group \"" + g.name + "\" with " +
                                           std::to_string(g.members.size()) + " members takes " +
                                           std::to_string(needed) +
                                           "; raise it to a power of two of at least that");
        }
    }
}

void check_ports(Checker& check) {
    const Config& c = check.config;
    if (c.signals.port == c.bridge.port && c.signals.address == c.bridge.address) {
        check.add("listen",
                  "signals and bridge use the same port " + std::to_string(c.bridge.port));
    }
}

void check_redis(Checker& check) {
    const auto streams = std::count_if(check.config.sources.begin(), check.config.sources.end(),
                                       [](const SourceConfig& s) { return s.redis; });
    if (streams > 1) {
        check.add("sources", "more than one is of kind \"redis\"; there is one stream RTSS");
    }
    if (streams > 0 && !check.config.redis.enabled) {
        check.add("sources",
                  "one is of kind \"redis\" but there is no \"redis\" object, or it is "
                  "not enabled");
    }
}

/// The engine and the replica watch over each other: as processes each has its own.
void check_core_threads(Checker& check) {
    for (const StageId id : {StageId::Engine, StageId::Replica}) {
        if (!check.config.threads && !check.config.placed(id).thread.empty()) {
            check.add(std::string{"placement.stages."} + stage_name(id) + ".thread",
                      "needs placement.mode \"threads\": as processes, engine and replica must be "
                      "able to outlive each other");
        }
    }
}

/// A shared thread waits for nobody in particular: every stage on it must agree how it idles.
void check_threads(Checker& check) {
    std::map<std::string, const StagePlacement*> first;
    for (std::uint32_t i = 0; i < kStages; ++i) {
        const StagePlacement& p = check.config.placement[i];
        if (p.thread.empty()) {
            continue;
        }
        const std::string key =
            std::string{"placement.stages."} + stage_name(static_cast<StageId>(i));
        const auto [at, fresh] = first.emplace(p.thread, &p);
        if (!fresh && (at->second->cpu != p.cpu || at->second->idle != p.idle)) {
            check.add(key, "shares thread \"" + p.thread + "\" but names another cpu or idle");
        }
    }
}

void check_operators(Checker& check) {
    std::set<std::string> users;
    for (std::size_t i = 0; i < check.config.operators.size(); ++i) {
        const std::string& user = check.config.operators[i].user;
        if (!users.insert(user).second) {
            check.add("operators[" + std::to_string(i) + "].user",
                      "\"" + user + "\" stands there twice; a user has one role");
        }
    }
}

/// On one file system, as far as both are there.
bool lie_together(const std::string& first, const std::string& second) {
    struct stat a{};
    struct stat b{};
    return ::stat(first.c_str(), &a) == 0 && ::stat(second.c_str(), &b) == 0 &&
           a.st_dev == b.st_dev;
}

}  // namespace

void check_config(const Config& c, std::vector<Mistake>& mistakes) {
    Checker check{c, mistakes};
    const auto symbols = check.unique_names("symbols", c.symbols);
    const auto accounts = check.unique_names("accounts", c.accounts);
    check.unique_names("groups", c.groups);
    check.unique_names("sources", c.sources);
    check.limit("symbols", c.symbols.size(), kSymbolsMax, "");
    check.limit("groups", c.groups.size(), kNamesPerKind, "");
    check.limit("sources", c.sources.size(), kNamesPerKind, "");
    check.limit("accounts", c.accounts.size(), c.accounts_max,
                "; \"accounts_max\" stays what a journal directory was begun with");
    check_logins(check);
    check_symbol_names(check);
    check_members(check, accounts, symbols);
    check_fix(check, symbols);
    check_money(c, mistakes);
    check_capacity(check);
    check_results(check);
    check_ports(check);
    check_redis(check);
    check_threads(check);
    check_core_threads(check);
    check_operators(check);
}

std::vector<std::string> config_warnings(const Config& c) {
    std::vector<std::string> warnings;
    if (c.sqlite.ship_ms != 0 && lie_together(c.journal.dir, c.sqlite.backup_dir)) {
        warnings.push_back("sqlite.backup_dir: " + c.sqlite.backup_dir +
                           " lies on the journal's disk and is lost with it, and with it what is "
                           "shipped there; name a folder on another disk, or set ship_ms to 0");
    }
    std::string elsewhere;
    if (c.sqlite.backup_s != 0 &&
        !check_backup_place(c.sqlite.backup_dir, backup_note(c.sqlite.path, c.sqlite.backup_dir),
                            elsewhere)) {
        warnings.push_back("sqlite.backup_dir: " + elsewhere + ". No backup is made until then");
    }
    const std::uint32_t kept = places_kept(c.capacity.orders);
    for (const GroupConfig& g : c.groups) {
        const std::size_t at_once = kChildrenPerTarget * g.members.size();
        if (at_once > kept) {
            const std::size_t orders = at_once * c.capacity.orders / kept;
            const bool fits = at_once + g.members.size() <= c.capacity.orders;
            warnings.push_back(
                "capacity.orders: is " + std::to_string(c.capacity.orders) +
                "; a close for group \"" + g.name + "\" takes up to " + std::to_string(at_once) +
                (fits ? " places, which entries leave free in place of an eighth: they are refused "
                        "(TABLE_FULL) so much earlier"
                      : " places, more than an entry for it leaves free: it may be refused "
                        "(TABLE_FULL)") +
                ". A new journal directory should be begun with " + std::to_string(orders) +
                " or more");
        }
    }
    const std::vector<std::string> of_fix = fix_warnings(c);
    warnings.insert(warnings.end(), of_fix.begin(), of_fix.end());
    return warnings;
}

}  // namespace millrace
