#include "tests/recovery/stepped_host.h"

namespace millrace::test {
namespace {

constexpr std::uint64_t kFileBytes = 64 * 1024;
constexpr std::uint64_t kFirstFileBytes = 16 * 1024;  // so that short runs roll, too
// Few, so that a short run needs more.
constexpr std::uint64_t kReserveSequences = 48;
constexpr std::uint64_t kReserveIntents = 1U << 15;
constexpr int kRoundsMax = 100'000;

class NoOutputs final : public OutputPort {
public:
    void order(const OrderCommand&) noexcept override {}
    void result(const SignalResult&) noexcept override {}
};

}  // namespace

bool SteppedHost::start() {
    driver_.reset();
    journal_.reset();
    p_->create_segment(kRingSlots);
    if (!open_journal(false) || !replay()) {
        return false;
    }
    auto attached = EngineDriver::attach(p_->segment(), message);
    if (!attached) {
        return false;
    }
    driver_ = std::make_unique<EngineDriver>(std::move(attached).value());
    driver_->begin(*engine_, p_->segment().core().epoch.load());
    jump = engine_->seq().value - 1;  // and behind it the Start
    return true;
}

bool SteppedHost::restart_journal() {
    journal_.reset();
    return open_journal(true);
}

bool SteppedHost::open_journal(bool same_segment) {
    auto disk = std::make_unique<testing::FaultDisk>(*log_);
    disk_ = disk.get();
    JournalStageOptions options;
    options.directory = p_->journal_dir();
    options.same_segment = same_segment;
    options.segment_bytes = kFileBytes;
    options.first_file_bytes = kFirstFileBytes;
    options.reserve_sequences = kReserveSequences;
    options.reserve_intents = kReserveIntents;
    auto opened = JournalStage::open(options, std::move(disk), *log_,
                                     p_->segment().ring<JournalRecord>("journal"),
                                     p_->segment().core(), message);
    if (!opened) {
        return false;
    }
    journal_ = std::move(opened).value();
    return true;
}

/// What replay_files() does with a directory.
bool SteppedHost::replay() {
    engine_ = std::make_unique<Engine>(kCapacity);
    log_end = durable();
    auto reader = JournalReader::open(*log_, Sequence{0}, {16 * 1024}, message);
    if (!reader) {
        return false;
    }
    NoOutputs none;
    while (engine_->seq().value < log_end &&
           reader.value().next(Sequence{log_end}) == ReadStatus::Record) {
        engine_->apply(reader.value().record(), none);
    }
    hash_of_log = engine_->state_hash();
    known.clear();
    for (std::uint32_t i = 0; i < engine_->orders().used(); ++i) {
        if (engine_->orders().is_live(i)) {
            known[engine_->orders()[i].intent] = engine_->orders()[i].status;
        }
    }
    message = reader.value().fault().what;
    return engine_->seq().value == log_end;
}

int SteppedHost::feed(int inputs) noexcept {
    return driver_->poll(*engine_, p_->segment().clock().now(), inputs);
}

int SteppedHost::write() noexcept {
    return journal_->step(p_->segment().clock().now());
}

bool SteppedHost::settle() {
    disk_->hold = false;
    disk_->poll_max = kWritesInFlightMax;
    int quiet = 0;
    for (int round = 0; quiet < 4 && round < kRoundsMax; ++round) {
        const int work = feed(64) + write();
        p_->play_broker();
        quiet = work == 0 ? quiet + 1 : 0;
    }
    return quiet > 0;
}

}  // namespace millrace::test
