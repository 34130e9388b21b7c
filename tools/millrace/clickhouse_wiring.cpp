#include "tools/millrace/clickhouse_wiring.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "persist/clickhouse_schema.h"
#include "persist/clickhouse_sink.h"
#include "persist/effects_log_source.h"
#include "tools/millrace/progress.h"

namespace millrace {
namespace {

/// Parts beyond which 18.16 slows inserts down (its parts_to_delay_insert).
constexpr std::uint64_t kPartsMax = 150;

/// Prints one finding a line and keeps the worst.
class DoctorReport {
public:
    void good(const std::string& what) { say("GOOD  ", what); }
    void warn(const std::string& what) { say("WARN  ", what); }
    void wrong(const std::string& what) {
        say("WRONG ", what);
        code_ = 1;
    }
    [[nodiscard]] int code() const noexcept { return code_; }

private:
    static void say(const char* verdict, const std::string& what) {
        std::printf("%s %s\n", verdict, what.c_str());
    }
    int code_ = 0;
};

std::string first_line(const Result<std::string>& answer) {
    return answer ? answer.value().substr(0, answer.value().find('\n')) : "";
}

void check_transport(const ClickHouseStoreOptions& options, DoctorReport& report) {
    const std::string& url = options.server.url;
    const bool local = url.find("//127.") != std::string::npos ||
                       url.find("//localhost") != std::string::npos ||
                       url.find("//[::1]") != std::string::npos;
    if (!local && url.starts_with("http://")) {
        report.warn("transport: the password goes over the network in clear; use https://");
    }
    if (options.server.password.empty()) {
        report.warn("user: no password is used; set password_file");
    }
}

void check_table(ClickHouseStore& store, DoctorReport& report) {
    const std::string& db = store.options().database;
    const std::string where = " WHERE database = '" + db + "' AND ";
    const std::string engine = first_line(
        store.query("SELECT engine_full FROM system.tables" + where + "name = 'effects'"));
    if (engine.empty()) {
        report.warn("table: " + store.table() + " is not there yet; the sink makes it");
        return;
    }
    const bool replacing = engine.find("ReplacingMergeTree") != std::string::npos;
    const std::string what = "table: " + store.table() + " is " + engine.substr(0, 60);
    replacing ? report.good(what) : report.wrong(what + "; it must be ReplacingMergeTree");
    if (store.has_tokens() &&
        engine.find("non_replicated_deduplication_window") == std::string::npos &&
        engine.find("Replicated") == std::string::npos) {
        report.warn("tokens: off; ALTER TABLE " + store.table() +
                    " MODIFY SETTING non_replicated_deduplication_window = 1000");
    }
    const std::string parts = first_line(
        store.query("SELECT count() FROM system.parts" + where + "table = 'effects' AND active"));
    const bool many = !parts.empty() && std::strtoull(parts.c_str(), nullptr, 10) > kPartsMax;
    many ? report.wrong("parts: " + parts + "; merges do not keep up: raise batch_ms, batch_rows")
         : report.good("parts: " + parts);
}

void check_rights(ClickHouseStore& store, DoctorReport& report) {
    const std::string readonly =
        first_line(store.query("SELECT value FROM system.settings WHERE name = 'readonly'"));
    readonly == "0" || readonly.empty()
        ? report.good("rights: the user may write")
        : report.wrong("rights: readonly = " + readonly + "; give the user a profile that writes");
}

std::string place_text(const ClickHousePlace& place) {
    return "record " + std::to_string(place.cursor.seq.value) + " of history " +
           std::to_string(place.history);
}

void print(const ClickHouseFindings& f, bool json) {
    if (json) {
        const nlohmann::ordered_json j{{"upto", f.upto},           {"rows", f.rows},
                                       {"ranges", f.ranges},       {"missing", f.missing},
                                       {"changed", f.changed},     {"extra", f.extra},
                                       {"mended", f.mended},       {"sqlite_wrong", f.sqlite_wrong},
                                       {"undecided", f.undecided}, {"first", f.first},
                                       {"equal", f.clean()}};
        std::printf("%s\n", j.dump().c_str());
        return;
    }
    std::printf(
        "%s as of record %llu: %llu rows of SQLite; %llu missing, %llu changed in "
        "ClickHouse (%llu stored again); %llu only there\n",
        f.clean() ? "EQUAL" : "DIFFERENT", static_cast<unsigned long long>(f.upto),
        static_cast<unsigned long long>(f.rows), static_cast<unsigned long long>(f.missing),
        static_cast<unsigned long long>(f.changed), static_cast<unsigned long long>(f.mended),
        static_cast<unsigned long long>(f.extra));
    if (f.changed != 0) {
        std::printf(
            "of those changed, by the effects log: %llu are wrong in SQLite, %llu not known\n",
            static_cast<unsigned long long>(f.sqlite_wrong),
            static_cast<unsigned long long>(f.undecided));
    }
    if (!f.first.empty()) {
        std::printf("first: %s\n", f.first.c_str());
    }
}

AskLog log_of(const Config& config) {
    return [dir = config.journal.dir](const std::set<EffectAt>& ids) {
        EffectsLogSource log{dir};
        return effects_in(log, ids);
    };
}

/// Opens and begins to compare; waits for a ClickHouse that is behind.
Status begin_verify(ClickHouseStore& store, ClickHouseVerify& verify, std::uint32_t wait_s,
                    std::string& message) {
    const std::int64_t end = monotonic_ns() + seconds(wait_s).value;
    while (true) {
        Status begun = store.open();
        if (!begun) {
            message = store.message();
            return begun;
        }
        begun = verify.begin();
        message = verify.message();
        if (begun || begun.code() != Errc::Busy || monotonic_ns() >= end) {
            return begun;
        }
        ::usleep(200'000);  // its cursor is a row there; nothing tells of it
    }
}

}  // namespace

ClickHouseStoreOptions clickhouse_store(const Config& config) {
    const ClickHouseConfig& c = config.clickhouse;
    ClickHouseStoreOptions o;
    o.server = {c.url, c.user, c.password, c.ca_file, seconds(2), millis(c.timeout_ms), c.compress};
    o.database = c.database;
    if (o.database.empty()) {
        o.database = "millrace_" + config.name;
        std::replace_if(
            o.database.begin(), o.database.end(),
            [](char ch) { return std::isalnum(static_cast<unsigned char>(ch)) == 0; }, '_');
    }
    return o;
}

std::unique_ptr<Stage> build_clickhouse_sink(const Segment& segment, const Config& config,
                                             std::uint32_t instance) {
    ClickHouseSinkOptions options;
    options.store = clickhouse_store(config);
    options.store.instance = instance;
    options.sqlite_path = config.sqlite.enabled ? config.sqlite.path : "";
    options.ask_log = log_of(config);
    options.batch_time = millis(config.clickhouse.batch_ms);
    options.batch_rows = config.clickhouse.batch_rows;
    options.batch_rows_max = config.clickhouse.batch_rows_max;
    options.verify_every = seconds(config.clickhouse.verify_s);
    return std::make_unique<ClickHouseSink>(
        segment, std::make_unique<EffectsLogSource>(config.journal.dir), options);
}

int doctor_clickhouse(const Config& config) {
    if (!config.clickhouse.enabled) {
        std::printf("no \"clickhouse\" in %s\n", config.file.c_str());
        return 2;
    }
    ClickHouseStoreOptions options = clickhouse_store(config);
    options.make = false;
    ClickHouseStore store{options};
    DoctorReport report;
    const Status opened = store.open();
    if (!opened && opened.code() != Errc::NotFound) {
        report.wrong("connection: " + store.message());
        return 2;
    }
    report.good("connection: " + options.server.url + " is ClickHouse " + store.version());
    check_transport(options, report);
    check_rights(store, report);
    check_table(store, report);
    if (opened) {
        report.good("cursor: " + place_text(store.place()));
    }
    if (config.sqlite.enabled) {
        const auto open_rows = FailedSyncs{config.sqlite.path}.open_rows("clickhouse");
        if (open_rows && open_rows.value() != 0) {
            report.wrong("failed_syncs: the sink is failing; see the table in " +
                         config.sqlite.path);
        }
    }
    return report.code();
}

constexpr auto kKinds = static_cast<std::uint64_t>(EffectKind::Alert);  // the last of them

int verify_clickhouse(const Config& config, const VerifyClickHouse& options) {
    if (!config.clickhouse.enabled || !config.sqlite.enabled) {
        std::fprintf(stderr, "%s needs both \"clickhouse\" and \"sqlite\"\n", config.file.c_str());
        return 2;
    }
    ClickHouseStoreOptions to = clickhouse_store(config);
    to.make = false;
    ClickHouseStore store{to};
    ClickHouseVerify verify{store, config.sqlite.path, options.mend, log_of(config)};
    std::string message;
    if (!begin_verify(store, verify, options.wait_s, message)) {
        std::fprintf(stderr, "not compared: %s\n", message.c_str());
        return 2;
    }
    const BackupProgress progress = options.json ? BackupProgress{} : progress_on_terminal();
    std::uint64_t kinds = 0;
    for (bool more = true; more;) {
        const auto step = verify.step();
        if (!step) {
            std::fprintf(stderr, "not compared: %s\n", verify.message().c_str());
            return 2;
        }
        more = step.value();
        ++kinds;
        if (progress) {
            (void)progress("verify", more ? kinds : kKinds, kKinds);
        }
    }
    print(verify.findings(), options.json);
    return verify.findings().clean() ? 0 : 1;
}

}  // namespace millrace
