#include "tools/millrace/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/millrace/config_check.h"
#include "tools/millrace/config_reader.h"
#include "tools/millrace/fix_config.h"
#include "tools/millrace/guards_config.h"
#include "tools/millrace/key_config.h"
#include "tools/millrace/limits_config.h"
#include "tools/millrace/second_config.h"
#include "tools/millrace/terminal_config.h"
#include "tools/millrace/tick_config.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMillion = 1'000'000;
constexpr DecimalRange kAnyVolume{0, kMillion* kScale};
constexpr IntRange kRingSlots{16, 1 << 22};
constexpr std::uint32_t kShipMs = 500;  // requirement C6

std::string beside(const std::string& file, const std::string& path) {
    return fs::absolute(fs::absolute(file).parent_path() / path).lexically_normal().string();
}

void read_endpoint(ObjectReader& o, const char* key, Endpoint& out) {
    std::string text;
    o.text(key, text, {1, 64});
    if (text.empty()) {
        return;
    }
    const std::size_t colon = text.rfind(':');
    const std::string address = text.substr(0, colon);
    unsigned port = 0;
    const char* end = text.data() + text.size();
    in_addr parsed{};
    const bool ok =
        colon != std::string::npos && ::inet_pton(AF_INET, address.c_str(), &parsed) == 1 &&
        std::from_chars(text.data() + colon + 1, end, port).ptr == end && port > 0 && port < 65536;
    if (!ok) {
        o.complain(key, "is \"" + text + "\"; ADDRESS:PORT such as \"127.0.0.1:7401\" is allowed");
        return;
    }
    out = {address, static_cast<std::uint16_t>(port)};
}

void read_durability(ObjectReader& o, const char* key, Durability& out) {
    o.choice(key, out, {{"process", Durability::Process}, {"disk", Durability::Disk}});
}

void read_journal(ObjectReader& o, const std::string& file, JournalConfig& j) {
    o.require("dir");
    std::string dir;
    o.text("dir", dir, {1, 240});
    j.dir = dir.empty() ? "" : beside(file, dir);
    o.integer("file_mib", j.file_mib, {1, 4096});
    o.integer("spare_files", j.spare_files, {0, 64});
    o.integer("retention_gib", j.retention_gib, {1, 65536});
    o.integer("retention_h", j.retention_h, {1, 87600});
    o.integer("free_floor_mib", j.free_floor_mib, {0, 16777216});
    o.integer("snapshot_s", j.snapshot_s, {1, 3600});
    SecondDirectoryConfig unused;
    read_second_directory(o, file, j.dir, unused);
    o.choice("backend", j.backend,
             {{"auto", JournalBackend::None},
              {"uring", JournalBackend::UringDirect},
              {"uring-buffered", JournalBackend::UringBuffered},
              {"pwrite", JournalBackend::PwriteDirect},
              {"pwrite-buffered", JournalBackend::PwriteBuffered}});
}

void read_rings(ObjectReader& o, RingsConfig& r) {
    o.integer("journal", r.journal, kRingSlots);
    o.integer("orders", r.orders, kRingSlots);
    o.integer("reports", r.reports, kRingSlots);
    o.integer("signals", r.signals, kRingSlots);
    o.integer("results", r.results, kRingSlots);
    o.integer("admin", r.admin, kRingSlots);
    o.integer("session", r.session, kRingSlots);
}

void read_wish(ObjectReader& o, const char* key, MemoryWish& out) {
    o.choice(
        key, out,
        {{"off", MemoryWish::Off}, {"try", MemoryWish::Try}, {"require", MemoryWish::Require}});
}

void read_memory(ObjectReader& o, MemoryConfig& m) {
    read_wish(o, "huge_pages", m.plan.huge_pages);
    read_wish(o, "lock", m.plan.lock);
    o.text("hugetlbfs", m.hugetlbfs, {1, 200});
    o.integer("numa_node", m.plan.numa_node, {0, 1023});
    if (!m.hugetlbfs.empty() && m.hugetlbfs[0] != '/') {
        o.complain("hugetlbfs", "is \"" + m.hugetlbfs + "\"; an absolute path is allowed");
    }
}

SymbolConfig read_symbol(ObjectReader& o) {
    SymbolConfig s;
    s.line = o.line();
    o.require("name");
    o.name("name", s.name);
    o.integer("digits", s.digits, {0, 8});
    o.decimal("tick_size", s.tick_size, {1, kMillion * kScale});
    o.decimal("volume_min", s.volume_min, {1, kMillion * kScale});
    o.decimal("volume_max", s.volume_max, {1, kMillion * kScale});
    o.decimal("volume_step", s.volume_step, {1, kMillion * kScale});
    o.decimal("contract_size", s.contract_size, {1, 1000 * kMillion * kScale});
    o.decimal("collar", s.collar, {0, kScale});
    o.object("limits", [&s](ObjectReader& l) { read_symbol_limits(l, s.limits); });
    read_symbol_guard(o, s);
    if (s.tick_size == 0) {
        s.tick_size = kScale;
        for (std::uint32_t i = 0; i < s.digits; ++i) {
            s.tick_size /= 10;
        }
    }
    if (s.volume_max < s.volume_min) {
        o.complain("volume_max", "is smaller than volume_min");
    }
    return s;
}

MemberConfig read_member(ObjectReader& o) {
    MemberConfig m;
    m.line = o.line();
    o.require("account");
    o.name("account", m.account);
    o.choice("sizing", m.sizing,
             {{"fixed", SizingMode::Fixed},
              {"multiplier", SizingMode::Multiplier},
              {"equity_share", SizingMode::EquityShare}});
    o.decimal("value", m.value, {1, kMillion * kScale});
    o.texts("symbols", m.symbols);
    o.boolean("enabled", m.enabled);
    o.text("standby", m.standby, {0, 16});
    o.integer("standby_after_s", m.standby_after_s, {0, 3'600});
    if (m.sizing == SizingMode::EquityShare && m.value > 100 * kScale) {
        o.complain("value", "is a share of the equity (0.05 = 5 %); up to 100 is allowed");
    }
    return m;
}

GroupConfig read_group(ObjectReader& o) {
    GroupConfig g;
    o.require("name");
    o.name("name", g.name);
    o.choice("on_partial", g.on_partial,
             {{"accept", PartialAction::Accept},
              {"refill", PartialAction::Refill},
              {"close", PartialAction::Close}});
    o.list("members", [&g](ObjectReader& m) { g.members.push_back(read_member(m)); });
    o.object("limits", [&g](ObjectReader& l) {
        read_group_limits(l, g.limits);
        read_group_money(l, g.money);
    });
    return g;
}

AccountConfig read_account_object(ObjectReader& o, const std::string& file) {
    AccountConfig a;
    a.line = o.line();
    std::int64_t login = 0;
    o.require("name");
    o.require("login");
    o.name("name", a.name);
    o.integer("login", login, {1, INT64_MAX});
    a.login = static_cast<std::uint64_t>(login);
    read_key(o, fs::path{file}.parent_path().string(), a.key);
    o.choice("margin_mode", a.margin_mode,
             {{"hedging", MarginMode::Hedging}, {"netting", MarginMode::Netting}});
    o.text("symbol_prefix", a.symbol_prefix, {0, 8});
    o.text("symbol_suffix", a.symbol_suffix, {0, 8});
    o.decimal("max_lots", a.max_lots, kAnyVolume);
    o.integer("max_open_orders", a.max_open_orders, {0, kMillion});
    o.integer("rate_per_second", a.rate_per_second, {1, kMillion});
    o.integer("rate_burst", a.rate_burst, {1, kMillion});
    o.integer("deviation_points", a.deviation_points, {0, kMillion});
    o.integer("duplicate_window_ms", a.duplicate_window_ms, {0, 86'400'000});
    o.choice("on_duplicate", a.on_duplicate,
             {{"refuse", DuplicateAction::Refuse}, {"alert", DuplicateAction::Alert}});
    o.choice("on_duplicate_execution", a.on_double,
             {{"close", DoubleAction::Close}, {"alert", DoubleAction::Alert}});
    read_account_facts(o, a);
    o.object("limits", [&a](ObjectReader& l) {
        read_account_limits(l, a.limits);
        read_account_money(l, a.money);
        read_week(l, a.hours);
    });
    read_hours(o, a.hours);
    read_durability(o, "gate", a.gate);
    const std::string folder = fs::absolute(file).parent_path().string();
    check_fix_keys(o, folder, a.limits);
    check_terminal_keys(o, folder);
    return a;
}

SourceConfig read_source(ObjectReader& o, const std::string& file) {
    SourceConfig s;
    o.require("name");
    o.name("name", s.name);
    enum class Kind { Tcp, Shm, Redis } kind = Kind::Tcp;
    o.choice("kind", kind, {{"tcp", Kind::Tcp}, {"shm", Kind::Shm}, {"redis", Kind::Redis}});
    s.shm = kind == Kind::Shm;
    s.redis = kind == Kind::Redis;
    s.ack = s.shm ? Durability::Process : Durability::Disk;
    read_durability(o, "ack", s.ack);
    if (kind == Kind::Tcp || o.has("key") || o.has("key_file")) {
        read_key(o, fs::path{file}.parent_path().string(), s.key);
    }
    return s;
}

void read_risk(ObjectReader& o, RiskSpec& r) {
    std::int64_t timeout_ms = r.answer_timeout_ns / kMillion;
    std::int64_t age_ms = r.tick_age_max_ns / kMillion;
    std::int64_t days = 7;
    std::int64_t tag = static_cast<std::int64_t>(r.magic_tag);
    o.decimal("collar", r.collar.value, {0, kScale});
    o.integer("answer_timeout_ms", timeout_ms, {1, 600'000});
    o.integer("magic_tag", tag, {1, (1 << Magic::kTagBits) - 1});
    o.integer("tick_age_max_ms", age_ms, {0, 86'400'000});
    o.integer("ledger_window_days", days, {1, 3650});
    r.answer_timeout_ns = timeout_ms * kMillion;
    r.tick_age_max_ns = age_ms * kMillion;
    r.magic_tag = static_cast<std::uint64_t>(tag);
    r.ledger_window_ns = days * 86'400 * 1000 * kMillion;
}

void read_capacity(ObjectReader& o, CapacityConfig& c) {
    o.integer("members", c.members, {16, 1 << 24});
    o.integer("orders", c.orders, {64, 1 << 24});
    o.integer("ledger", c.ledger, {64, 1 << 28});
}

void read_placement(ObjectReader& o, Config& c) {
    o.choice("mode", c.threads, {{"processes", false}, {"threads", true}});
    o.object("stages", [&c](ObjectReader& stages) {
        for (const StageId id : {StageId::Ingress, StageId::Engine, StageId::Broker,
                                 StageId::Journal, StageId::Replica, StageId::Sqlite,
                                 StageId::Redis, StageId::Rtss, StageId::ClickHouse}) {
            StagePlacement& p = c.placement[static_cast<std::uint32_t>(id)];
            stages.object(stage_name(id), [&p](ObjectReader& s) {
                s.integer("cpu", p.cpu, {0, 4095});
                s.choice("idle", p.idle,
                         {{"park", IdleStrategy::Park},
                          {"backoff", IdleStrategy::Backoff},
                          {"yield", IdleStrategy::Yield},
                          {"spin", IdleStrategy::Spin}});
                s.text("thread", p.thread, {1, 16});
            });
        }
    });
}

void read_sqlite(ObjectReader& o, const std::string& file, SqliteConfig& s) {
    o.boolean("enabled", s.enabled);
    o.text("path", s.path, {1, 4096});
    s.path = s.path.empty() ? "" : beside(file, s.path);
    o.integer("batch_ms", s.batch_ms, {1, 60'000});
    o.integer("batch_rows", s.batch_rows, {1, 1'000'000});
    o.text("backup_dir", s.backup_dir, {1, 4096});
    s.backup_dir = s.backup_dir.empty() ? "" : beside(file, s.backup_dir);
    o.integer("backup_s", s.backup_s, {0, 86'400});
    o.integer("backups_kept", s.backups_kept, {1, 1000});
    // Beside the store it would go with the same disk.
    const bool apart = !s.backup_dir.empty() && s.backup_s != 0;
    s.ship_ms = apart ? kShipMs : 0;
    o.integer("ship_ms", s.ship_ms, {0, 60'000});
    if (s.ship_ms != 0 && !apart) {
        o.complain("ship_ms", "needs backups in a backup_dir of their own, on another disk");
    }
}

void read_restart(ObjectReader& o, RestartConfig& r) {
    o.integer("first_ms", r.first_ms, {0, 60'000});
    o.integer("min_ms", r.min_ms, {1, 60'000});
    o.integer("max_ms", r.max_ms, {1, 600'000});
    o.integer("stuck_ms", r.stuck_ms, {100, 600'000});
    o.integer("drain_ms", r.drain_ms, {100, 60'000});
    o.choice("stalled", r.stalled, {{"kill", StallPolicy::Kill}, {"report", StallPolicy::Report}});
    if (r.max_ms < r.min_ms) {
        o.complain("max_ms", "is smaller than min_ms");
    }
}

void read_log(ObjectReader& o, const std::string& file, LogConfig& l) {
    o.choice("format", l.json, {{"text", false}, {"json", true}});
    o.choice<std::string>(
        "level", l.level,
        {{"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}});
    o.text("file", l.file, {1, 4096});
    l.file = l.file.empty() ? "" : beside(file, l.file);
}

void read_document(ObjectReader& o, Config& c) {
    const std::string& file = c.file;
    std::string schema;
    o.text("$schema", schema, {0, 4096});  // for editors
    o.name("name", c.name);
    o.object("journal", [&](ObjectReader& j) { read_journal(j, file, c.journal); });
    o.object("rings", [&](ObjectReader& r) { read_rings(r, c.rings); });
    o.object("memory", [&c](ObjectReader& m) { read_memory(m, c.memory); });
    o.integer("accounts_max", c.accounts_max, {1, 65'536});
    o.object("listen", [&](ObjectReader& l) {
        read_endpoint(l, "signals", c.signals);
        read_endpoint(l, "bridge", c.bridge);
    });
    o.list("symbols", [&](ObjectReader& s) { c.symbols.push_back(read_symbol(s)); });
    o.list("groups", [&](ObjectReader& g) { c.groups.push_back(read_group(g)); });
    o.list("accounts",
           [&](ObjectReader& a) { c.accounts.push_back(read_account_object(a, file)); });
    check_terminals_keys(o);
    check_tick_keys(o, fs::path{file}.parent_path().string());
    o.list("sources", [&](ObjectReader& s) { c.sources.push_back(read_source(s, file)); });
    o.object("risk", [&](ObjectReader& r) { read_risk(r, c.risk); });
    o.object("money", [&](ObjectReader& m) { read_money(m, o.has("money"), c.money); });
    o.object("capacity", [&](ObjectReader& p) { read_capacity(p, c.capacity); });
    o.object("placement", [&](ObjectReader& p) { read_placement(p, c); });
    o.object("sqlite", [&](ObjectReader& s) { read_sqlite(s, file, c.sqlite); });
    o.object("redis", [&](ObjectReader& r) {
        read_redis(r, fs::path{file}.parent_path().string(), o.has("redis"), c.redis);
    });
    o.object("clickhouse", [&](ObjectReader& r) {
        read_clickhouse(r, fs::path{file}.parent_path().string(), o.has("clickhouse"),
                        c.clickhouse);
    });
    o.object("credentials", [&](ObjectReader& r) {
        read_credentials(r, fs::path{file}.parent_path().string(), o.has("credentials"),
                         c.credentials);
    });
    o.object("restart", [&](ObjectReader& r) { read_restart(r, c.restart); });
    o.object("log", [&](ObjectReader& l) { read_log(l, file, c.log); });
    o.list("operators", [&](ObjectReader& p) { c.operators.push_back(read_operator(p)); });
}

/// `text` as one JSON object.
std::optional<JsonNode> parse_object(std::string_view text, ReadLog& log) {
    auto doc = parse_json(text, log.file, log.mistakes);
    if (doc && doc->kind != JsonNode::Kind::Object) {
        log.mistakes.push_back(
            {log.file,
             doc->line,
             {},
             std::string{"must hold one JSON object, not "} + describe(doc->kind)});
        return std::nullopt;
    }
    return doc;
}

/// The document of the log's file, if it is a JSON object.
std::optional<JsonNode> load(ReadLog& log) {
    std::ifstream in{log.text_file, std::ios::binary};
    if (!in) {
        log.mistakes.push_back({log.text_file, 0, {}, "cannot be opened for reading"});
        return std::nullopt;
    }
    std::stringstream text;
    text << in.rdbuf();
    log.text = text.str();
    return parse_object(log.text, log);
}

std::vector<std::string> json_files(const std::string& folder) {
    std::vector<std::string> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{folder, none}) {
        if (entry.path().extension() == ".json") {
            files.push_back(entry.path().string());
        }
    }
    std::sort(files.begin(), files.end());  // the same order on every host
    return files;
}

/// Calls `read` with each JSON object that was added at run time to `folder`.
template <class Read>
void read_added(const std::string& folder, std::vector<Mistake>& mistakes, Read&& read) {
    for (const std::string& path : json_files(folder)) {
        ReadLog log{path};
        if (const auto doc = load(log)) {
            ObjectReader reader{*doc, "", log};
            read(reader, path);
            reader.done();
        }
        mistakes.insert(mistakes.end(), log.mistakes.begin(), log.mistakes.end());
    }
}

void merge_group(std::vector<GroupConfig>& groups, GroupConfig added) {
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&](const GroupConfig& g) { return g.name == added.name; });
    if (group == groups.end()) {
        groups.push_back(std::move(added));
        return;
    }
    for (MemberConfig& m : added.members) {
        std::erase_if(group->members,
                      [&](const MemberConfig& old) { return old.account == m.account; });
        group->members.push_back(std::move(m));
    }
}

}  // namespace

std::string accounts_folder(const std::string& journal_dir) {
    return journal_dir + "/accounts.d";
}
std::string groups_folder(const std::string& journal_dir) {
    return journal_dir + "/groups.d";
}

std::string checked_config_path(const std::string& journal_dir) {
    return journal_dir + "/config.checked.json";
}

Config read_config(const std::string& file, std::vector<Mistake>& mistakes,
                   std::set<std::string>* known_keys, const std::string& text_file) {
    Config c;
    c.file = fs::absolute(file).lexically_normal().string();
    ReadLog log{file};
    log.text_file = text_file.empty() ? file : text_file;
    if (const auto doc = load(log)) {
        c.text = log.text;
        ObjectReader reader{*doc, "", log};
        read_document(reader, c);
        reader.done();
    }
    mistakes.insert(mistakes.end(), log.mistakes.begin(), log.mistakes.end());
    if (known_keys != nullptr) {
        *known_keys = log.known_keys;
    }
    if (!c.journal.dir.empty()) {
        for (AccountConfig& added : read_added_accounts(c.journal.dir, mistakes)) {
            c.accounts.push_back(std::move(added));
        }
        read_added(
            groups_folder(c.journal.dir), mistakes,
            [&](ObjectReader& o, const std::string&) { merge_group(c.groups, read_group(o)); });
        c.sqlite.path = c.sqlite.path.empty() ? c.journal.dir + "/millrace.db" : c.sqlite.path;
        if (c.sqlite.backup_dir.empty()) {
            c.sqlite.backup_dir = c.sqlite.path + ".backups";
        }
    }
    if (mistakes.empty()) {
        check_config(c, mistakes);
    }
    return c;
}

std::vector<AccountConfig> read_added_accounts(const std::string& journal_dir,
                                               std::vector<Mistake>& mistakes) {
    std::vector<AccountConfig> accounts;
    read_added(accounts_folder(journal_dir), mistakes, [&](ObjectReader& o, const std::string& at) {
        accounts.push_back(read_account_object(o, at));
    });
    return accounts;
}

AccountConfig read_account(const std::string& file, std::string_view text,
                           std::vector<Mistake>& mistakes) {
    ReadLog log{file};
    AccountConfig account;
    if (const auto doc = parse_object(text, log)) {
        ObjectReader reader{*doc, "", log};
        account = read_account_object(reader, file);
        reader.done();
    }
    mistakes.insert(mistakes.end(), log.mistakes.begin(), log.mistakes.end());
    return account;
}

void merge_group_text(Config& config, const std::string& file, std::string_view text,
                      std::vector<Mistake>& mistakes) {
    ReadLog log{file};
    if (const auto doc = parse_object(text, log)) {
        ObjectReader reader{*doc, "", log};
        merge_group(config.groups, read_group(reader));
        reader.done();
    }
    mistakes.insert(mistakes.end(), log.mistakes.begin(), log.mistakes.end());
}

}  // namespace millrace
