#include "tools/millrace/stages.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <thread>

#include "gateway/broker_stage.h"
#include "gateway/ingress_stage.h"
#include "persist/backup_place.h"
#include "persist/core_stage.h"
#include "persist/effects_log_source.h"
#include "persist/moving_journal.h"
#include "persist/pwrite_disk.h"
#include "persist/reservation.h"
#include "persist/sqlite_sink.h"
#include "shm/doorbell.h"
#include "tools/millrace/account_table.h"
#include "tools/millrace/clickhouse_wiring.h"
#include "tools/millrace/config_records.h"
#include "tools/millrace/log.h"
#include "tools/millrace/redis_wiring.h"
#include "tools/millrace/second_config.h"
#include "tools/millrace/start_check.h"

namespace millrace {
namespace {

/// How long the broker stage waits for the journal to say which epoch it writes.
constexpr std::int64_t kEpochWaitNs = 30'000'000'000;
/// A parked journal thread sleeps in the kernel while the disk writes, and looks at its ring at
/// least this often: what arrived meanwhile goes into the next group commit.
constexpr Nanos kIoNap = Nanos{200'000};

/// The journal stage under the runner.
class JournalRun final : public Stage {
public:
    JournalRun(std::unique_ptr<MovingJournal> journal, bool nap) noexcept
        : journal_{std::move(journal)}, nap_{nap} {}

    int step(Nanos now) noexcept override {
        const int work = journal_->step(now);
        if (work == 0 && nap_ && journal_->in_flight()) {
            journal_->wait_io(kIoNap);
        }
        return work;
    }
    [[nodiscard]] bool idle() const noexcept override { return journal_->idle(); }
    [[nodiscard]] bool healthy() const noexcept override { return !journal_->poisoned(); }
    [[nodiscard]] const char* failure() const noexcept override { return journal_->error().what; }

private:
    std::unique_ptr<MovingJournal> journal_;
    bool nap_;
};

std::string errno_suffix(const Error& e) {
    return e.sys_errno == 0 ? "" : std::string{": "} + std::strerror(e.sys_errno);
}

/// Whoever waits for `durable` to move.
std::function<void()> wake_on_durable(Segment& segment) {
    return [&segment] {
        for (const StageId id :
             {StageId::Broker, StageId::Ingress, StageId::Replica, StageId::Engine}) {
            ring(segment.doorbell(id));
        }
    };
}

/// What a replay of the log up to there has to come to.
std::string state_of(Engine* engine) {
    if (engine == nullptr) {
        return "";
    }
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016" PRIx64, engine->state_hash());
    return "the engine's state after record " + std::to_string(engine->seq().value) + " is " + hash;
}

Result<StageSlot> build_core(const std::string& name, const StageContext& c, std::string& message) {
    CoreOptions options;
    options.journal_dir = c.config.journal.dir;
    options.capacity = capacity_of(c.config, c.segment.sessions());
    options.snapshot_every = seconds(c.config.journal.snapshot_s);
    options.upgrade_from = c.upgrade_from;
    if (c.threads) {
        options.role = name == "engine" ? CoreOptions::Role::Engine : CoreOptions::Role::Replica;
    }
    auto built = CoreStage::start(c.segment, options, message);
    if (!built) {
        return built.error();
    }
    StageSlot slot;
    CoreStage* core = built.value().get();
    slot.id = core->stage_id();
    if (!c.threads) {
        slot.role = [core] { return core->stage_id(); };
    }
    slot.recovering = [core] { return core->recovering(); };
    slot.owns_engine = [core] { return core->owns_engine(); };
    slot.last_words = [core] { return state_of(core->engine()); };
    slot.stage = std::move(built).value();
    return Result<StageSlot>{std::move(slot)};
}

Result<std::unique_ptr<Stage>> build_journal(const StageContext& c, std::string& message) {
    const CoreCells& core = c.segment.core();
    MovingJournalOptions moving;
    const SecondDirectoryConfig second = configured_second(c.config);
    moving.answer_max = millis(second.answer_ms);
    moving.alert = [&segment = c.segment](const std::string& text) {
        segment.report_error("journal", text);
    };
    JournalStageOptions& options = moving.stage;
    options.directory = c.config.journal.dir;
    options.second = second.path;
    // The cells are filled by the first journal stage of a segment and stay.
    options.same_segment = core.epoch.load(std::memory_order_acquire) != 0;
    options.durable_floor = Sequence{core.durable.load(std::memory_order_acquire)};
    options.segment_bytes = std::uint64_t{c.config.journal.file_mib} << 20U;
    options.first_file_bytes = std::min(options.first_file_bytes, options.segment_bytes);
    options.spare_files = c.config.journal.spare_files;
    options.backend = c.config.journal.backend;
    options.on_durable = wake_on_durable(c.segment);
    options.durable_ack = &c.segment.hop(Hop::DurableAck);
    auto built = MovingJournal::open(moving, c.segment.ring<JournalRecord>("journal"),
                                     c.segment.core(), message);
    if (!built) {
        return built.error();
    }
    if (!message.empty()) {
        log_warn("fall-back: " + message);
        message.clear();
    }
    const JournalStart& start = built.value()->start();
    log_info("epoch " + std::to_string(start.epoch) + " begins after record " +
             std::to_string(start.last.seq.value) + ", backend " + to_string(start.backend) +
             (built.value()->in_second() ? ", in " + options.second : "") +
             (start.tail_torn ? "; cut off a torn tail: " + start.tail : ""));
    const bool nap = c.config.placed(StageId::Journal).idle == IdleStrategy::Park;
    return Result<std::unique_ptr<Stage>>{
        std::make_unique<JournalRun>(std::move(built).value(), nap)};
}

std::uint64_t wait_for_epoch(const Segment& segment) {
    const std::int64_t begin = monotonic_ns();
    // Acquire: pairs with the journal stage's release.
    std::uint64_t epoch = segment.core().epoch.load(std::memory_order_acquire);
    while (epoch == 0 && monotonic_ns() - begin < kEpochWaitNs) {
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
        epoch = segment.core().epoch.load(std::memory_order_acquire);
    }
    return epoch;
}

Result<std::unique_ptr<Stage>> build_broker(const StageContext& c, std::string& message) {
    BrokerOptions options;
    options.listen.address = c.config.bridge.address;
    options.listen.port = c.config.bridge.port;
    options.magic_tag = c.config.risk.magic_tag;
    const std::uint64_t epoch = wait_for_epoch(c.segment);
    if (epoch == 0) {
        message = "the journal has not begun an epoch; see the journal stage's log";
        return {Errc::Timeout, "broker"};
    }
    // Made before the first epoch began, and of one directory always the same.
    const auto reserved = Reservation::read(c.config.journal.dir, message);
    if (!reserved) {
        return reserved.error();
    }
    options.epoch = bridge::wire_epoch(reserved.value().instance, epoch);
    auto table = std::make_shared<AccountTable>(c.config, c.ids);
    options.find_account = [table](std::uint64_t login, TerminalAccount& found) {
        return table->find(login, found);
    };
    options.find_symbol = [symbols = c.config.symbols](const Text<16>& name, SymbolSpec& found) {
        for (const SymbolConfig& s : symbols) {
            if (make_text<16>(s.name) == name) {
                found = symbol_spec(s, SymbolId{kNoId});
                return true;
            }
        }
        return false;
    };
    auto built = BrokerStage::create(c.segment, std::move(options), message);
    if (!built) {
        return built.error();
    }
    return Result<std::unique_ptr<Stage>>{std::move(built).value()};
}

Result<std::unique_ptr<Stage>> build_ingress(const StageContext& c, std::string& message) {
    IngressOptions options;
    options.listen.address = c.config.signals.address;
    options.listen.port = c.config.signals.port;
    for (const SourceConfig& s : c.config.sources) {
        if (!s.own_rings()) {
            options.sources.push_back(
                {s.name, SourceId{c.ids.find(NameKind::Source, s.name)}, s.key,
                 s.ack == Durability::Disk ? AckLevel::Disk : AckLevel::Process});
        }
    }
    auto built = IngressStage::create(c.segment, std::move(options), message);
    if (!built) {
        return built.error();
    }
    return Result<std::unique_ptr<Stage>>{std::move(built).value()};
}

/// Whose log the stores follow, for `millrace recover`; 0 if it cannot be told now.
std::uint32_t instance_of(const StageContext& c) {
    std::string why;
    const bool begun = wait_for_epoch(c.segment) != 0;  // the reservation is made before
    const auto reserved = Reservation::read(c.config.journal.dir, why);
    return begun && reserved ? reserved.value().instance : 0;
}

Result<std::unique_ptr<Stage>> build_sqlite(const StageContext& c) {
    SqliteSinkOptions options;
    options.store.path = c.config.sqlite.path;
    options.store.instance = instance_of(c);
    options.batch_time = millis(c.config.sqlite.batch_ms);
    options.batch_rows = c.config.sqlite.batch_rows;
    const std::string note = backup_note(c.config.sqlite.path, c.config.sqlite.backup_dir);
    if (c.config.sqlite.backup_s != 0) {
        options.keeper.dir = c.config.sqlite.backup_dir;
        options.keeper.note = note;
        options.keeper.keep = c.config.sqlite.backups_kept;
        options.keeper.every = seconds(c.config.sqlite.backup_s);
        options.keeper.make_log = [dir = c.config.journal.dir] {
            return std::make_unique<EffectsLogSource>(dir);
        };
    }
    if (c.config.sqlite.ship_ms != 0) {
        options.shipper.log = c.config.journal.dir;
        options.shipper.backups = c.config.sqlite.backup_dir;
        options.shipper.note = note;
        options.shipper.every = millis(c.config.sqlite.ship_ms);
        options.shipper.free_floor_bytes = std::uint64_t{c.config.journal.free_floor_mib} << 20U;
        options.shipper.bytes_max = std::uint64_t{c.config.journal.retention_gib} << 30U;
    }
    return Result<std::unique_ptr<Stage>>{std::make_unique<SqliteSink>(
        c.segment, std::make_unique<EffectsLogSource>(c.config.journal.dir), options)};
}

Result<std::unique_ptr<Stage>> build_plain(const std::string& name, const StageContext& c,
                                           std::string& message) {
    if (name == "ingress") {
        return build_ingress(c, message);
    }
    if (name == "broker") {
        return build_broker(c, message);
    }
    if (name == "journal") {
        return build_journal(c, message);
    }
    if (name == "redis") {
        return Result<std::unique_ptr<Stage>>{
            build_redis_sink(c.segment, c.config, instance_of(c))};
    }
    if (name == "clickhouse") {
        return Result<std::unique_ptr<Stage>>{
            build_clickhouse_sink(c.segment, c.config, instance_of(c))};
    }
    if (name == "rtss") {
        return build_redis_source(c.segment, c.config, c.ids, instance_of(c), message);
    }
    return build_sqlite(c);
}

}  // namespace

std::vector<StageName> pipeline_stages(const Config& config, bool threads) {
    std::vector<StageName> stages = {{"ingress", StageId::Ingress},
                                     {threads ? "engine" : "core-0", StageId::Engine},
                                     {"broker", StageId::Broker},
                                     {"journal", StageId::Journal},
                                     {threads ? "replica" : "core-1", StageId::Replica}};
    if (config.sqlite.enabled) {
        stages.push_back({"sqlite", StageId::Sqlite});
    }
    if (config.redis.enabled) {
        stages.push_back({"redis", StageId::Redis});
    }
    if (config.clickhouse.enabled) {
        stages.push_back({"clickhouse", StageId::ClickHouse});
    }
    if (std::any_of(config.sources.begin(), config.sources.end(),
                    [](const SourceConfig& s) { return s.redis; })) {
        stages.push_back({"rtss", StageId::Rtss});
    }
    return stages;
}

Result<StageSlot> build_stage(const std::string& name, const StageContext& context,
                              std::string& message) {
    const auto known = pipeline_stages(context.config, context.threads);
    const auto at = std::find_if(known.begin(), known.end(),
                                 [&](const StageName& s) { return s.name == name; });
    if (at == known.end()) {
        message = "no stage is called \"" + name + "\" in this configuration";
        return {Errc::NotFound, "stage"};
    }
    if (at->id == StageId::Engine || at->id == StageId::Replica) {
        return build_core(name, context, message);  // takes its role itself
    }
    std::string holder;
    auto lock = RoleLock::try_acquire(context.config.journal.dir, name, holder);
    if (!lock) {
        message = "role " + name + " in " + context.config.journal.dir + ": " + lock.error().what +
                  (holder.empty() ? errno_suffix(lock.error()) : " (" + holder + ")");
        return lock.error();
    }
    StageSlot slot;
    slot.lock = std::move(lock).value();
    slot.id = at->id;
    auto built = build_plain(name, context, message);
    if (!built) {
        message = message.empty() ? std::string{built.error().what} + errno_suffix(built.error())
                                  : message;
        return built.error();
    }
    slot.stage = std::move(built).value();
    // Shown as recovering, or a large store would be taken for hung in its first duty cycle,
    // killed, and never be opened again.
    if (const auto* sink = dynamic_cast<const SqliteSink*>(slot.stage.get()); sink != nullptr) {
        slot.recovering = [sink] { return sink->starting(); };
    }
    return Result<StageSlot>{std::move(slot)};
}

RunnerOptions runner_options(const Config& config, StageId id) {
    RunnerOptions options;
    std::string message;
    options.cpu = config.placed(id).cpu;
    options.idle = idle_for(config, id, usable_cpus(), message);
    if (!message.empty()) {
        log_warn(message);
    }
    return options;
}

}  // namespace millrace
