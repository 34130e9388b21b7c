#include "tests/recovery/pipeline.h"

#include "core/crash_point.h"
#include "gateway/egress_gate.h"
#include "persist/journal_stage.h"
#include "shm/doorbell.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

namespace millrace::test {
namespace {

constexpr std::int64_t kPx = 110'000'000;

[[noreturn]] void run_journal(const std::string& path, const std::string& dir) {
    std::string message;
    auto segment = Segment::attach(path, Segment::Mode::ReadWrite, message);
    JournalStageOptions options;
    options.directory = dir;
    // The ring was used by a journal stage before if anything was ever acknowledged from it.
    options.same_segment = segment.value().core().epoch.load() != 0;
    options.backend = JournalBackend::PwriteBuffered;  // tests need no disk that allows O_DIRECT
    auto stage = JournalStage::open(options, segment.value().ring<JournalRecord>("journal"),
                                    segment.value().core(), message);
    if (!stage) {
        std::fprintf(stderr, "journal: %s\n", message.c_str());
        _exit(3);
    }
    const Clock clock = segment.value().clock();
    while (segment.value().core().stop_requested.load() == 0) {
        if (stage.value()->step(clock.now()) == 0) {
            ::sched_yield();
        }
    }
    _exit(0);
}

constexpr GroupId kGroup{0};
constexpr GroupId kNoSuchGroup{7};

[[noreturn]] void run_core(const std::string& path, const std::string& dir, Nanos snapshot_every) {
    doorbell_setup();
    std::string message;
    auto segment = Segment::attach(path, Segment::Mode::ReadWrite, message);
    CoreOptions options;
    options.journal_dir = dir;
    options.capacity = {kAccounts, 64, 4096, 4096};
    options.snapshot_every = snapshot_every;
    auto stage = CoreStage::start(segment.value(), options, message);
    if (!stage) {
        std::fprintf(stderr, "core: %s\n", message.c_str());
        _exit(3);
    }
    const Clock clock = segment.value().clock();
    while (segment.value().core().stop_requested.load() == 0) {
        if (stage.value()->step(clock.now()) == 0) {
            ::sched_yield();
        }
        if (!stage.value()->healthy()) {
            std::fprintf(stderr, "core: %s\n", stage.value()->failure());
            _exit(4);
        }
    }
    _exit(0);
}

template <class Slot, class Record>
void publish(RingProducer<Slot>& ring, const Record& record) {
    Slot slot{};
    slot.value = record;
    ASSERT_TRUE(ring.try_publish(slot).ok());
}

}  // namespace

Pipeline::Pipeline(const std::filesystem::path& under) {
    static int number = 0;
    const std::string name =
        "millrace-recovery-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
    dir_ = under / name;
    std::filesystem::create_directories(dir_);
    segment_path_ = (dir_ / "segment").string();
    doorbell_setup();
}

Pipeline::~Pipeline() {
    for (const pid_t pid : children_) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    std::filesystem::remove_all(dir_);
}

void Pipeline::create_segment(std::uint32_t journal_slots, std::uint32_t results_slots) {
    std::filesystem::remove(segment_path_);
    SegmentPlan plan;
    plan.path = segment_path_;
    plan.journal_dir = dir_.string();
    plan.sessions = kAccounts;
    plan.session_slots = 2;
    plan.journal_slots = journal_slots;
    if (ring_slots != 0) {
        plan.orders_slots = plan.reports_slots = plan.signals_slots = ring_slots;
        plan.results_slots = plan.admin_slots = ring_slots;
    }
    plan.results_slots = results_slots != 0 ? results_slots : plan.results_slots;
    plan.strategies = strategies;
    plan.memory.lock = MemoryWish::Off;
    std::string message;
    auto made = Segment::create(plan, message);
    ASSERT_TRUE(made.ok()) << message;
    segment_ = std::move(made).value();
    orders_ = RingConsumer<OrderSlot>::attach(segment_.ring<OrderSlot>("orders")).value();
    results_ =
        RingConsumer<ResultSlot>::attach(segment_.ring<ResultSlot>("results.ingress")).value();
    reports_ = RingProducer<ReportSlot>::attach(segment_.ring<ReportSlot>("reports")).value();
    admin_ = RingProducer<AdminSlot>::attach(segment_.ring<AdminSlot>("admin")).value();
    signals_ =
        RingProducer<SignalSlot>::attach(segment_.ring<SignalSlot>("signals.ingress")).value();
}

pid_t Pipeline::fork_journal(const char* point) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (point != nullptr) {
            arm_crash_point(point);
        }
        run_journal(segment_path_, dir_.string());
    }
    children_.push_back(pid);
    return pid;
}

pid_t Pipeline::fork_core(const char* point) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (point != nullptr) {
            arm_crash_point(point);
        }
        run_core(segment_path_, dir_.string(), snapshot_every);
    }
    children_.push_back(pid);
    return pid;
}

void Pipeline::kill_and_reap(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

bool Pipeline::was_killed(pid_t pid) {
    int status = 0;
    return ::waitpid(pid, &status, WNOHANG) == pid && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL;
}

void Pipeline::send_config() {
    publish(admin_, AdminRecord::make(AdminOp::RiskLimits, RiskSpec{}));
    SymbolSpec symbol;
    symbol.id = SymbolId{0};
    symbol.name = make_text<16>("EURUSD");
    symbol.tick_size = Price{1000};
    symbol.volume_min = symbol.volume_step = Lots{kScale / 100};
    symbol.volume_max = Lots{100 * kScale};
    symbol.contract_size = 100'000 * kScale;
    publish(admin_, AdminRecord::make(AdminOp::DefineSymbol, symbol));
    SourceSpec source;
    source.id = SourceId{0};
    publish(admin_, AdminRecord::make(AdminOp::DefineSource, source));
    GroupSpec group;
    group.id = GroupId{0};
    publish(admin_, AdminRecord::make(AdminOp::DefineGroup, group));
    for (std::uint32_t i = 0; i < kAccounts; ++i) {
        AccountSpec account;
        account.id = AccountId{i};
        account.login = 1000 + i;
        account.rate_per_second = account.rate_burst = 1'000'000;
        account.leaves_early = leaves_early ? 1 : 0;
        publish(admin_, AdminRecord::make(AdminOp::DefineAccount, account));
        MemberSpec member{};
        member.group = group.id;
        member.account = account.id;
        for (auto& word : member.symbols) {
            word = ~std::uint64_t{0};
        }
        publish(admin_, AdminRecord::make(AdminOp::DefineMember, member));
    }
    segment_.tick(SymbolId{0}).store({Price{kPx}, Price{kPx + 1000}, segment_.clock().now()});
}

void Pipeline::connect_accounts(std::uint64_t generation) {
    for (std::uint32_t i = 0; i < kAccounts; ++i) {
        Report r;
        r.account = AccountId{i};
        r.type = ReportType::SessionUp;
        r.session_generation = generation;
        r.journal_id = 7;
        report(r);
        r = {};
        r.account = AccountId{i};
        r.type = ReportType::SyncDone;
        report(r);
    }
}

Signal Pipeline::next_signal() {
    Signal s;
    const std::uint64_t number = ++signals_sent;
    s.id = {number, number};  // an order's comment is made of the upper half
    s.source = SourceId{0};
    s.group = kGroup;
    s.symbol = SymbolId{0};
    s.action = SignalAction::Open;
    s.volume = Lots{kScale / 10};
    s.ttl_ms = ttl_ms;
    if (resting) {
        s.price_kind = PriceKind::Limit;
        s.price = Price{kPx / 2};
    }
    return s;
}

void Pipeline::publish_signal(Signal s) {
    s.edge_time = segment_.clock().now();
    publish(signals_, s);
}

void Pipeline::send(const Signal& signal) {
    ASSERT_EQ(signal.id.lo, signals_sent);
    sent_.resize(signals_sent);
    sent_.back() = signal;
    publish_signal(signal);
}

void Pipeline::send_signals(int count) {
    for (int i = 0; i < count; ++i) {
        send(next_signal());
    }
}

void Pipeline::resend_signals() {
    for (const Signal& s : sent_) {
        publish_signal(s);
    }
}

void Pipeline::send_refused_signals(int count) {
    for (int i = 0; i < count; ++i) {
        Signal s = next_signal();
        s.group = kNoSuchGroup;
        send(s);
    }
}

void Pipeline::send_admin(const AdminRecord& record) {
    publish(admin_, record);
}

void Pipeline::cancel_resting(std::size_t most) {
    for (; most > 0 && !placed_.empty(); --most) {
        Report r = placed_.back();
        placed_.pop_back();
        r.type = ReportType::Exec;
        r.exec_kind = ExecKind::PendingCanceled;
        r.event_seq = ++event_seq_[r.account.value];
        report(r);
    }
}

void Pipeline::report(const Report& r) {
    publish(reports_, r);
}

void Pipeline::on_order(const OrderCommand& c) {
    order_keys.emplace_back(c.seq.value, c.k);
    commands.push_back(c);
    Report r;
    r.account = c.account;
    r.event_seq = ++event_seq_[c.account.value];
    r.magic = c.magic;
    if (c.type == CommandType::Query) {
        const bool known = executed.count(c.magic.value) != 0;
        r.type = known ? ReportType::QueryFound : ReportType::QueryAbsent;
        r.ord_status = static_cast<std::uint8_t>(OrdStatus::Filled);
    } else {
        r.type = ReportType::Outcome;
        ++executed[c.magic.value];
        intents.insert(c.magic.intent());
    }
    r.retcode = 10009;
    r.volume = Lots{kScale / 10};
    r.price = Price{kPx};
    r.deal_ticket = next_deal_++;
    r.position_id = c.magic.intent();
    if (c.price_kind != PriceKind::Market && c.type == CommandType::Open) {
        r.retcode = 10008;
        r.volume = {};
        r.deal_ticket = 0;
        placed_.push_back(r);
    }
    if (answering) {
        report(r);
    } else {
        --event_seq_[c.account.value];  // the answer is lost, its number never used
    }
}

void Pipeline::play_broker() {
    const EgressGate gate{segment_.core()};
    for (int n = 0; n < 64; ++n) {
        const OrderSlot* slot = orders_.peek();
        if (slot == nullptr ||
            (gated && gate.check(slot->value, GateLevel::Disk) != GateVerdict::Open)) {
            break;
        }
        on_order(slot->value);
        orders_.advance();
        orders_.release();
    }
    results_.poll(reading ? 64 : 0, [this](const ResultSlot& slot) {
        last_result_seq = std::max(last_result_seq, slot.value.seq.value);
        working += slot.value.kind == ResultKind::OrderWorking ? 1U : 0U;
        order_ends += slot.value.kind == ResultKind::OrderDone ? 1U : 0U;
        if (slot.value.kind == ResultKind::SignalDone) {
            ++done_results[slot.value.signal.lo];
        } else if (slot.value.kind == ResultKind::Refused) {
            ++refused;
        }
        if (slot.value.kind == ResultKind::Accepted) {
            accepted_at[slot.value.signal.lo] = slot.value.seq.value;
        }
        duplicates += slot.value.kind == ResultKind::Duplicate ? 1U : 0U;
    });
}

std::vector<OrderCommand> Pipeline::lose_orders() {
    std::vector<OrderCommand> lost;
    orders_.poll(UINT32_MAX, [&](const OrderSlot& slot) { lost.push_back(slot.value); });
    return lost;
}

bool Pipeline::play_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        play_broker();
        ::sched_yield();
    }
    return true;
}

}  // namespace millrace::test
