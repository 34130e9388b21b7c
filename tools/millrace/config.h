// Config: everything that one pipeline is told, read from one JSON file and checked whole.
//
// The engine never sees this: config_records.h turns it into journalled admin records. Accounts
// and members added at run time lie in <journal dir>/accounts.d and groups.d and are read with it.
#pragma once

#include "core/admin.h"
#include "shm/idle.h"
#include "shm/segment.h"
#include "tools/millrace/clickhouse_config.h"
#include "tools/millrace/credential_config.h"
#include "tools/millrace/json_doc.h"
#include "tools/millrace/redis_config.h"
#include "tools/millrace/roles.h"

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// Where an acknowledgement or the egress gate waits (DESIGN "Durability").
enum class Durability : std::uint8_t { Process = 0, Disk = 1 };

struct Endpoint {
    std::string address;
    std::uint16_t port = 0;
};
struct JournalConfig {
    std::string dir;
    std::uint32_t file_mib = 64;
    JournalBackend backend = JournalBackend::None;  // None: the best that works
    std::uint32_t spare_files = 4;
    std::uint32_t retention_gib = 16;
    std::uint32_t retention_h = 24;
    std::uint32_t free_floor_mib = 1024;
    std::uint32_t snapshot_s = 60;
};
struct RingsConfig {
    std::uint32_t journal = 1U << 15;
    std::uint32_t orders = 1U << 12;
    std::uint32_t reports = 1U << 13;
    std::uint32_t signals = 1U << 11;
    std::uint32_t results = 1U << 13;
    std::uint32_t admin = 1U << 11;
    std::uint32_t session = 256;
};
/// The segment's memory. (README of shm/: how to reserve huge pages.)
struct MemoryConfig {
    MemoryPlan plan;
    std::string hugetlbfs;  // folder of such a mount to lie in; "" = /dev/shm
};
struct SymbolConfig {
    std::string name;
    std::uint32_t digits = 5;
    std::int64_t tick_size = 0;  // 1e-8; 0 = one digit
    std::int64_t volume_min = kScale / 100;
    std::int64_t volume_max = 100 * kScale;
    std::int64_t volume_step = kScale / 100;
    std::int64_t contract_size = 100'000 * kScale;
    std::int64_t collar = 0;   // 0 = risk.collar
    SymbolLimitSpec limits{};  // its id comes with the record
    std::string currency{};    // of its prices; "" = by its name
    SymbolGuardSpec guard{};   // id and currency come with the record
    HoursSpec hours{};         // its id comes with the record
    unsigned line = 0;
};
/// What a currency is worth in the common one.
struct RateConfig {
    std::string currency;
    std::string symbol;     // whose quotes say so; "" = none
    std::int64_t rate = 0;  // common units for one of it, without a quote; 1e-8, 0 = none
    unsigned line = 0;
};
struct MoneyConfig {
    std::string currency;  // the common one; "" = nothing is measured in money
    std::uint32_t rate_age_max_ms = 60'000;
    std::vector<RateConfig> rates;
};
struct MemberConfig {
    std::string account;
    SizingMode sizing = SizingMode::Multiplier;
    std::int64_t value = kScale;
    std::vector<std::string> symbols;  // empty = all
    bool enabled = true;
    std::string standby{};  // account that takes its entries while it is out; "" = none
    std::uint32_t standby_after_s = 10;
    unsigned line = 0;
};
struct GroupConfig {
    std::string name;
    std::vector<MemberConfig> members{};
    PartialAction on_partial = PartialAction::Accept;
    LimitSpec limits{};      // its id comes with the record
    MoneyLimitSpec money{};  // the same
};
/// Of an account that names none: a fill 3 % from its reference is told (C16). It stops and closes
/// nothing that nobody asked for: over a gap a stop order is filled so far away, on every account
/// at once, and all of them would stand still in a market that moves.
[[nodiscard]] inline LimitSpec usual_limits() noexcept {
    LimitSpec l;
    l.max_slippage = kScale * 3 / 100;
    l.on_slippage = SlippageAction::Alert;
    return l;
}
/// Whose money it is, as its broker tells (ACCOUNT_TRADE_MODE's numbers).
enum class AccountKind : std::uint8_t { Demo, Contest, Real, Any };
struct AccountConfig {
    std::string name;
    std::uint64_t login = 0;
    std::vector<std::byte> key{};
    MarginMode margin_mode = MarginMode::Hedging;
    std::string symbol_prefix;
    std::string symbol_suffix;
    std::int64_t max_lots = 0;
    std::uint32_t max_open_orders = 0;
    std::uint32_t rate_per_second = 5;
    std::uint32_t rate_burst = 10;
    std::uint32_t deviation_points = 20;
    std::uint32_t duplicate_window_ms = 0;
    DuplicateAction on_duplicate = DuplicateAction::Refuse;
    DoubleAction on_double = DoubleAction::Close;  // key "on_duplicate_execution"
    LimitSpec limits = usual_limits();             // its id comes with the record
    std::string currency;                          // "" = the common one
    std::uint32_t leverage = 0;                    // that its broker has to tell; 0 = any
    AccountKind kind = AccountKind::Any;           // key "trade_mode": the same
    MoneyLimitSpec money{};                        // id and currency come with the record
    HoursSpec hours{};                             // its id comes with the record
    unsigned line = 0;
    Durability gate = Durability::Disk;
};
struct SourceConfig {
    std::string name;
    bool shm = false;              // a strategy in shared memory; else TCP or Redis
    bool redis = false;            // the stream RTSS
    std::vector<std::byte> key{};  // TCP only
    Durability ack = Durability::Disk;
    /// Rings of its own; TCP sources share those of ingress.
    [[nodiscard]] bool own_rings() const noexcept { return shm || redis; }
};
struct CapacityConfig {
    std::uint32_t members = 1024;
    std::uint32_t orders = 1U << 15;
    std::uint32_t ledger = 1U << 17;
};
struct StagePlacement {
    std::uint32_t cpu = kNoId;  // kNoId = not pinned
    IdleStrategy idle = IdleStrategy::Park;
    std::string thread;  // stages with the same word share one thread; "" = its own
};
struct SqliteConfig {
    bool enabled = true;
    std::string path;
    std::uint32_t batch_ms = 100;
    std::uint32_t batch_rows = 2000;
    std::string backup_dir;
    std::uint32_t backup_s = 60;  // 0 = no backups
    std::uint32_t backups_kept = 10;
    std::uint32_t ship_ms = 0;  // the effects log goes to backup_dir, too; 0 = it does not
};
/// What becomes of a stage that stands still while work waits for it.
enum class StallPolicy : std::uint8_t {
    Kill,    // killed; replaced when its death is proven
    Report,  // reported once, and again when it goes on; never replaced while it lives
};
struct RestartConfig {
    std::uint32_t first_ms = 0;
    std::uint32_t min_ms = 200;
    std::uint32_t max_ms = 5000;
    std::uint32_t stuck_ms = 3000;
    std::uint32_t drain_ms = 10'000;  // at a stop, each stage
    StallPolicy stalled = StallPolicy::Kill;
};
struct LogConfig {
    bool json = false;
    std::string level = "info";
    std::string file;  // "" = standard error
};

struct Config {
    std::string file;  // it was read from
    std::string text;  // that was read
    std::string name = "default";
    JournalConfig journal;
    RingsConfig rings;
    MemoryConfig memory;
    std::uint32_t accounts_max = 64;
    Endpoint signals{"127.0.0.1", 7401};
    Endpoint bridge{"127.0.0.1", 7402};
    std::vector<SymbolConfig> symbols;
    std::vector<GroupConfig> groups;
    std::vector<AccountConfig> accounts;
    std::vector<SourceConfig> sources;
    RiskSpec risk;
    MoneyConfig money;
    CapacityConfig capacity;
    bool threads = false;  // stages as threads of one process
    std::array<StagePlacement, kStages> placement;
    SqliteConfig sqlite;
    RedisConfig redis;
    ClickHouseConfig clickhouse;
    CredentialConfig credentials;
    RestartConfig restart;
    LogConfig log;
    std::vector<OperatorConfig> operators;  // empty: everybody may do everything

    [[nodiscard]] std::string segment_path() const {
        return (memory.hugetlbfs.empty() ? "/dev/shm" : memory.hugetlbfs) + "/millrace-" + name;
    }
    [[nodiscard]] const StagePlacement& placed(StageId id) const noexcept {
        return placement[static_cast<std::uint32_t>(id)];
    }
};

/// Reads and checks `file` and what was added at run time. Relative paths in it are relative to
/// its folder. Reads key files; changes nothing.
/// @param mistakes every mistake found; the configuration may be used only if there is none.
/// @param known_keys if given, gets the path of every key that exists (for the schema's test).
/// @param text_file if given, is read in the place of `file`: a copy that was checked before.
[[nodiscard]] Config read_config(const std::string& file, std::vector<Mistake>& mistakes,
                                 std::set<std::string>* known_keys = nullptr,
                                 const std::string& text_file = {});

/// Where `millrace up` keeps the text that it checked. Its stages read this and not the file, which
/// somebody may be editing when one of them dies.
[[nodiscard]] std::string checked_config_path(const std::string& journal_dir);

/// Reads and checks one account's JSON object, as it stands in accounts[].
[[nodiscard]] AccountConfig read_account(const std::string& file, std::string_view text,
                                         std::vector<Mistake>& mistakes);

/// Adds to `config` what `text` says of a group, as a file in groups_folder() would.
void merge_group_text(Config& config, const std::string& file, std::string_view text,
                      std::vector<Mistake>& mistakes);

/// The accounts that were added at run time.
[[nodiscard]] std::vector<AccountConfig> read_added_accounts(const std::string& journal_dir,
                                                             std::vector<Mistake>& mistakes);

/// The JSON Schema (draft 2020-12) of the file.
[[nodiscard]] const char* config_schema() noexcept;

/// Folders of what was added at run time.
[[nodiscard]] std::string accounts_folder(const std::string& journal_dir);
[[nodiscard]] std::string groups_folder(const std::string& journal_dir);

}  // namespace millrace
