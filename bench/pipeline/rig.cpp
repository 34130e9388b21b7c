#include "bench/pipeline/rig.h"

#include "shm/doorbell.h"

#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace millrace::bench {
namespace {

constexpr std::int64_t kPx = 110'000'000;

template <class Slot, class Record>
void publish(RingProducer<Slot>& ring, const Record& record) {
    Slot* slot = ring.claim();
    ASSERT(slot != nullptr);
    slot->value = record;
    ring.commit();
}

void require(bool ok, const std::string& what) {
    if (!ok) {
        std::fprintf(stderr, "bench: %s\n", what.c_str());
        std::exit(1);
    }
}

}  // namespace

namespace {
int pair[2] = {0, 1};
}

void use_cpus(int first, int second) {
    pair[0] = first;
    pair[1] = second;
}

bool pin(int end) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(pair[end]), &set);
    return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

Rig::Rig(const std::string& directory, std::uint32_t accounts) {
    doorbell_setup();
    static int made_so_far = 0;
    segment_path_ = "/dev/shm/millrace-bench-" + std::to_string(::getpid()) + "-" +
                    std::to_string(made_so_far++);
    ::unlink(segment_path_.c_str());
    SegmentPlan plan;
    plan.path = segment_path_;
    plan.journal_dir = directory;
    plan.sessions = accounts;
    plan.session_slots = accounts == 1 ? 256 : 2;
    plan.orders_slots = 4096;
    plan.reports_slots = 4096;
    plan.results_slots = 16384;
    std::string message;
    auto created = Segment::create(plan, message);
    require(created.ok(), message);
    segment_ = std::move(created).value();
    JournalStageOptions options;
    options.directory = directory;
    auto journal = JournalStage::open(options, segment_.ring<JournalRecord>("journal"),
                                      segment_.core(), message);
    require(journal.ok(), message);
    journal_ = std::move(journal).value();
    capacity_ = {accounts, accounts, 1U << 16, 1U << 18};
    engine_ = std::make_unique<Engine>(capacity_);
    auto driver = EngineDriver::attach(segment_, message);
    require(driver.ok(), message);
    driver_ = std::make_unique<EngineDriver>(std::move(driver).value());
    driver_->begin(*engine_, 1);
    orders_ = RingConsumer<OrderSlot>::attach(segment_.ring<OrderSlot>("orders")).value();
    results_ =
        RingConsumer<ResultSlot>::attach(segment_.ring<ResultSlot>("results.ingress")).value();
    reports_ = RingProducer<ReportSlot>::attach(segment_.ring<ReportSlot>("reports")).value();
    admin_ = RingProducer<AdminSlot>::attach(segment_.ring<AdminSlot>("admin")).value();
    signals_ =
        RingProducer<SignalSlot>::attach(segment_.ring<SignalSlot>("signals.ingress")).value();
    configure(accounts);
}

Rig::~Rig() {
    ::unlink(segment_path_.c_str());
}

void Rig::configure(std::uint32_t accounts) {
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
    segment_.tick(SymbolId{0}).store({Price{kPx}, Price{kPx + 1000}, clock().now()});
    for (std::uint32_t i = 0; i < accounts; ++i) {
        AccountSpec account;
        account.id = AccountId{i};
        account.login = 1000 + i;
        account.rate_per_second = account.rate_burst = 1'000'000'000;
        publish(admin_, AdminRecord::make(AdminOp::DefineAccount, account));
        MemberSpec member{};
        member.group = group.id;
        member.account = account.id;
        for (auto& word : member.symbols) {
            word = ~std::uint64_t{0};
        }
        publish(admin_, AdminRecord::make(AdminOp::DefineMember, member));
        pump_until_idle();
        Report r;
        r.account = account.id;
        r.type = ReportType::SessionUp;
        r.journal_id = kJournalId;
        publish(reports_, r);
        r.type = ReportType::SyncDone;
        publish(reports_, r);
        pump_until_idle();
    }
}

void Rig::pump_until_idle() {
    while (!driver_->idle(*engine_, clock().now())) {
        step();
    }
}

void Rig::step_engine() {
    driver_->poll(*engine_, clock().now(), 64);
}

void Rig::step_journal() {
    journal_->step(clock().now());
}

void Rig::step() {
    step_engine();
    step_journal();
}

Nanos Rig::publish_signal() {
    SignalSlot* slot = signals_.claim();
    ASSERT(slot != nullptr);
    Signal& s = slot->value;
    s = Signal{};
    s.id = {7, next_signal_++};
    s.source = SourceId{0};
    s.group = GroupId{0};
    s.symbol = SymbolId{0};
    s.action = SignalAction::Open;
    s.volume = Lots{kScale / 10};
    s.edge_time = clock().now();
    const Nanos sent = s.edge_time;
    signals_.commit();
    return sent;
}

Nanos Rig::await_first_order() {
    while (orders_.peek() == nullptr) {
    }
    return clock().now();
}

int Rig::answer_orders() {
    int taken = 0;
    while (const OrderSlot* slot = orders_.peek()) {
        const OrderCommand& c = slot->value;
        Report r;
        r.account = c.account;
        r.type = ReportType::Outcome;
        r.magic = c.magic;
        r.retcode = 10009;
        r.volume = c.volume;
        r.price = Price{kPx};
        r.deal_ticket = next_deal_++;
        r.position_id = c.magic.intent();
        publish(reports_, r);
        // The server takes the profit at once: tables stay small however long the run.
        r.type = ReportType::Exec;
        r.exec_kind = ExecKind::ClosedByTakeProfit;
        r.deal_ticket = next_deal_++;
        publish(reports_, r);
        orders_.advance();
        orders_.release();
        if (++taken >= 512) {
            break;
        }
    }
    return taken;
}

void Rig::await_reports_taken() const {
    const auto view = segment_.ring<ReportSlot>("reports");
    // Acquire: pairs with the engine's release of the report.
    while (view.control->read_cursor.load(std::memory_order_acquire) != reports_.written()) {
    }
}

void Rig::give_up_if_stuck(Nanos since, const char* what) {
    const Nanos now = clock().now();
    if (now - since < seconds(30)) {
        return;
    }
    const CoreCells& core = segment_.core();
    const Globals& g = engine_->globals();
    const auto& session = segment_.session(AccountId{0});
    const auto number = [](const auto& cell) {
        return static_cast<unsigned long long>(cell.load(std::memory_order_relaxed));
    };
    std::fprintf(
        stderr,
        "bench: %s for 30 s; signal %llu, journal %llu, durable %llu, live orders %llu, in "
        "doubt %llu; session: link %llu, claimed %llu, done %llu, acked %llu, event %llu\n",
        what, static_cast<unsigned long long>(next_signal_ - 1), number(core.journal_seq),
        number(core.durable), static_cast<unsigned long long>(g.live_orders),
        static_cast<unsigned long long>(g.in_doubt), number(session.link), number(session.claimed),
        number(session.done), number(session.acked), number(session.applied_event));
    results_.poll(4096, [](const ResultSlot& slot) {
        const SignalResult& r = slot.value;
        std::fprintf(stderr, "bench: result of signal %llu: kind %u, status %u, reason %u\n",
                     static_cast<unsigned long long>(r.signal.lo), static_cast<unsigned>(r.kind),
                     r.ord_status, r.reason);
    });
    std::exit(1);
}

void Rig::drop_results() {
    results_.poll(4096, [](const ResultSlot&) {});
}

}  // namespace millrace::bench
