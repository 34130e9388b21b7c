#include "tools/demo_run/demo.h"

#include "shm/clock.h"
#include "tools/demo_run/input.h"
#include "tools/demo_run/known_orders.h"
#include "tools/demo_run/live.h"
#include "tools/demo_run/store_check.h"
#include "tools/millrace/key_file.h"
#include "tools/simbroker/append_file.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace millrace::demo {
namespace {

constexpr Nanos kSettleMax = seconds(40);
constexpr Nanos kDoubtMax = seconds(40);
constexpr Nanos kKillsLateMax = seconds(60);  // on a slow machine: each waits for the last one
constexpr std::size_t kDifferencesShown = 8;
constexpr std::uint64_t kMagicTag = RiskSpec{}.magic_tag;

volatile sig_atomic_t interrupted = 0;
void on_interrupt(int) {
    interrupted = 1;
}

/// SIGINT and SIGTERM only set a flag, for as long as this lives.
class CatchInterrupts {
public:
    CatchInterrupts() {
        struct sigaction action{};
        action.sa_handler = on_interrupt;
        ::sigaction(SIGINT, &action, nullptr);
        ::sigaction(SIGTERM, &action, nullptr);
        ::signal(SIGPIPE, SIG_IGN);
    }
};

std::string with_errno(const std::string& message, const Error& error) {
    return error.sys_errno == 0 ? message : message + ": " + std::strerror(error.sys_errno);
}

class Run {
public:
    explicit Run(const Options& options)
        : options_{options}, screen_{options.json ? stderr : stdout} {}

    int operator()() {
        if (const std::string why = prepare(); !why.empty()) {
            std::fprintf(stderr, "demo: %s\n", why.c_str());
            return interrupted != 0 ? 130 : 2;
        }
        play();
        settle();
        report_.view = inspect::read_view(pipeline_->segment());
        stop();
        judge_run();
        print();
        return interrupted != 0 ? 130 : report_.good() ? 0 : 1;
    }

private:
    std::string prepare();
    std::string connect();
    void play();
    void submit_due(Script& script, Nanos elapsed);
    void settle();
    void stop();
    void judge_run();
    void check_store();
    void check_positions();
    void print() const;
    [[nodiscard]] Nanos run_time() const { return seconds(options_.seconds); }
    [[nodiscard]] std::vector<Kill> kills() const {
        return chaos_ ? chaos_->kills() : std::vector<Kill>{};
    }

    const Options& options_;
    std::FILE* screen_;
    CatchInterrupts catch_interrupts_;
    Input input_;
    Workspace workspace_;
    std::unique_ptr<Pipeline> pipeline_;
    std::unique_ptr<Source> source_;
    std::unique_ptr<Script> script_;
    std::unique_ptr<Chaos> chaos_;
    std::unique_ptr<Live> live_;
    std::optional<Planned> waiting_;  // was due, and the client was full
    std::map<std::uint32_t, std::uint64_t> logins_;
    Report report_;
};

std::string Run::prepare() {
    become_subreaper();
    report_.options = options_;
    std::string message;
    if (!prepare_input(options_, input_, message)) {
        return message;
    }
    report_.input = input_.note;
    auto workspace = Workspace::create(options_.keep, message);
    if (!workspace) {
        return with_errno(message, workspace.error());
    }
    workspace_ = std::move(workspace.value());
    report_.kept_in = workspace_.kept() ? workspace_.dir() : "";
    Plan plan = make_plan(options_, input_.symbols);
    if (const Status s = workspace_.write(plan, message); !s) {
        return with_errno(message, s.error());
    }
    std::fprintf(screen_, "Starting the pipeline (%s) and the simulated broker: %zu accounts, %s\n",
                 options_.threads ? "one process" : "each stage a process", plan.accounts.size(),
                 input_.note.ticks.c_str());
    std::fflush(screen_);
    pipeline_ = std::make_unique<Pipeline>(workspace_, std::move(plan), input_.market);
    if (std::string why = pipeline_->start(false); !why.empty()) {
        return why;
    }
    logins_ = pipeline_->logins();
    if (std::string why = connect(); !why.empty()) {
        return why;
    }
    if (std::string why = pipeline_->wait_for_quotes(input_.quotes_first); !why.empty()) {
        return why;
    }
    script_ = input_.make_script(
        source_->lives(),
        [this](std::string_view symbol) -> std::optional<QuoteNow> {
            const auto q = pipeline_->quote(symbol);
            return q ? std::optional{QuoteNow{q->bid, q->ask}} : std::nullopt;
        },
        pipeline_->market_start());
    return "";
}

std::string Run::connect() {
    SourceOptions so;
    so.clock = pipeline_->segment().clock();
    so.ttl_ms = input_.ttl_ms;
    so.client.port = pipeline_->plan().signals_port;
    so.client.source = pipeline_->plan().source;
    std::string message;
    so.client.key = parse_key(pipeline_->plan().source_key_hex, message);
    so.client.ack_log = workspace_.path("source.acks");
    auto source = Source::create(so, message);
    if (!source) {
        return message;
    }
    source_ = std::move(source.value());
    const std::int64_t until = monotonic_ns() + seconds(10).value;
    while (!source_->connected()) {
        source_->poll(10);
        if (monotonic_ns() > until || interrupted != 0) {
            return "the source could not log in within 10 s: " + source_->last_error();
        }
    }
    report_.ack_disk = source_->acks_when_durable();
    return "";
}

void Run::play() {
    live_ = std::make_unique<Live>(screen_, pipeline_->segment(), pipeline_->account_names());
    if (options_.chaos) {
        chaos_ = std::make_unique<Chaos>(*pipeline_, run_time());
        chaos_->start();
    }
    // Recorded signals end by themselves; a bound holds for them only if it was asked for.
    const bool bounded = !options_.recorded_signals() || options_.seconds_given;
    const std::int64_t begin = monotonic_ns();
    Nanos elapsed;
    const auto may_end = [&] {
        const bool kills = chaos_ && !chaos_->over() && elapsed < run_time() + kKillsLateMax;
        return bounded && elapsed >= run_time() && !kills;
    };
    while (interrupted == 0 && !may_end() && !script_->finished()) {
        elapsed = Nanos{monotonic_ns() - begin};
        submit_due(*script_, elapsed);
        source_->poll(1);
        live_->tick(*source_, kills(), "sending ");
    }
    report_.run_seconds = static_cast<double>(elapsed.value) / 1e9;
    if (const std::size_t left = script_->left(); left > 0) {
        report_.input.skipped.emplace_back("events that were not due yet when sending ended", left);
    }
    if (chaos_) {
        chaos_->finish();
    }
}

void Run::submit_due(Script& script, Nanos elapsed) {
    if (!waiting_) {
        waiting_ = script.next(elapsed);
    }
    // Busy: the client is full, this one goes next time. A repeat still unanswered is Busy's kin.
    while (waiting_) {
        const Status s = source_->send(*waiting_);
        if (!s && s.code() == Errc::Busy) {
            return;
        }
        if (!s && !waiting_->is_repeat) {
            report_.failures.push_back(fmt::format("signal {} was not taken by the client: {}",
                                                   to_hex(waiting_->request.id),
                                                   to_string(s.code())));
        }
        waiting_ = script.next(elapsed);
    }
}

/// Cancels what still works as a pending order, then waits until every signal has its end and no
/// order is in doubt.
void Run::settle() {
    for (const Planned& p : script_->tidy_up()) {
        (void)source_->send(p);  // refused ones are judged like any other signal
    }
    const std::int64_t begin = monotonic_ns();
    const auto waits = [&](Nanos bound) { return monotonic_ns() < begin + bound.value; };
    while (!source_->settled() && waits(kSettleMax) && interrupted == 0) {
        source_->poll(5);
        source_->ask_again();
        live_->tick(*source_, kills(), "draining");
    }
    report_.unsettled = source_->lives().open_count();
    // Relaxed: a count to wait for.
    const auto& doubt = pipeline_->segment().core().in_doubt;
    while (doubt.load(std::memory_order_relaxed) > 0 && waits(kSettleMax + kDoubtMax) &&
           interrupted == 0) {
        source_->poll(5);
        live_->tick(*source_, kills(), "in doubt");
    }
    live_.reset();
}

void Run::stop() {
    struct stat st{};
    if (::stat(pipeline_->segment_path().c_str(), &st) == 0) {
        report_.shm_bytes = static_cast<std::uint64_t>(st.st_blocks) * 512;
    }
    std::fprintf(screen_, "Stopping (SIGTERM: everything drains) ...\n");
    std::fflush(screen_);
    if (const std::string why = pipeline_->stop(); !why.empty()) {
        report_.failures.push_back(why);
    }
}

void Run::judge_run() {
    report_.source = source_->counts();
    Outages outages;
    if (chaos_) {
        report_.kills = chaos_->kills();
        outages = outages_of(report_.kills);
        const auto left = not_killed(report_.kills, options_.threads);
        if (!left.empty() && interrupted == 0) {
            report_.failures.push_back(fmt::format(
                "{} of {} stages were not killed: {}; give it more --seconds", left.size(),
                chaos_targets(options_.threads).size(), fmt::join(left, ", ")));
        }
        report_.outage_total = outages.total(pipeline_->segment().clock().now());
        for (const Kill& k : report_.kills) {
            report_.broker_restarts += k.stage == "simbroker" ? 1 : 0;
            if (k.running_ns < 0 || k.all_back_ns < 0) {
                report_.failures.push_back(k.stage + " did not come back within 15 s of its kill");
            }
        }
        if (!chaos_->failure().empty()) {
            report_.failures.push_back(chaos_->failure());
        }
    }
    Evidence books{kMagicTag};
    const auto bytes = sim::read_file(pipeline_->books_path());
    const auto scanned =
        bytes ? sim::scan_books(bytes.value(), [&](const sim::BookRecord& r) { books.add(r); })
              : Result<std::uint64_t>{bytes.error()};
    if (!scanned) {
        report_.failures.push_back("the broker's books cannot be read: " +
                                   std::string{to_string(scanned.code())});
    }
    std::string message;
    auto log = read_ack_log(workspace_.path("source.acks"), message);
    if (!log) {
        report_.failures.push_back("the source's log cannot be read: " + message);
    }
    const std::vector<AckLogEntry> entries = log ? log.value().entries : std::vector<AckLogEntry>{};
    std::map<std::string, std::size_t> groups;
    for (const GroupPlan& g : pipeline_->plan().groups) {
        groups[g.name] = g.members.size();
    }
    Case evidence{source_->lives(),          entries,          books, outages, logins_,
                  options_.recorded_ticks(), std::move(groups)};
    // Somebody may have set the wall clock meanwhile.
    const std::int64_t apart = wall_ns() - pipeline_->segment().clock().now().value;
    evidence.clocks_apart = evidence.clocks_apart + Nanos{std::abs(apart)};
    report_.verdict = judge(evidence);
    report_.book_deals = books.deals();
    report_.book_executions = books.own_deals();
    report_.book_refused = books.refused();
    check_store();
    check_positions();
}

/// What we believe to be open and done at the end, against what the broker has.
void Run::check_positions() {
    const KnownOrders known =
        compare_known_orders(pipeline_->books_path(), workspace_.path("millrace.db"), logins_);
    for (std::size_t i = 0; i < known.problems.size() && i < kDifferencesShown; ++i) {
        report_.failures.push_back(known.problems[i]);
    }
    if (known.problems.size() > kDifferencesShown) {
        report_.failures.push_back(
            fmt::format("and {} more such differences", known.problems.size() - kDifferencesShown));
    }
    report_.book_positions = known.positions;
}

/// The store follows behind; after a clean stop it has everything. Its counts are no evidence, so
/// a difference is a warning.
void Run::check_store() {
    std::string message;
    const auto store = read_store(workspace_.path("millrace.db"), message);
    if (!store) {
        report_.warnings.push_back("SQLite store: " + message);
        return;
    }
    const StoreCounts& c = store.value();
    if (c.signals_accepted != report_.source.accepted) {
        report_.warnings.push_back(
            fmt::format("SQLite store has {} accepted signals, the source {}", c.signals_accepted,
                        report_.source.accepted));
    }
    const std::uint64_t orders = sum_orders(source_->lives()).orders;
    if (c.orders != orders) {
        report_.warnings.push_back(
            fmt::format("SQLite store has {} orders, the results {}", c.orders, orders));
    }
    if (c.orders_not_final > 0) {
        report_.warnings.push_back(
            fmt::format("SQLite store has {} orders that are not final", c.orders_not_final));
    }
}

void Run::print() const {
    const OrderSums sums = sum_orders(source_->lives());
    if (options_.json) {
        std::fputs(render_report_json(report_, sums).c_str(), stdout);
        if (!report_.good()) {
            std::fputs(render_text(report_, sums).c_str(), stderr);
        }
    } else {
        std::fputs(render_text(report_, sums).c_str(), stdout);
    }
}

}  // namespace

int run_demo(const Options& options) {
    return Run{options}();
}

}  // namespace millrace::demo
