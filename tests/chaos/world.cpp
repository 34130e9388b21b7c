#include "tests/chaos/world.h"

#include "shm/clock.h"
#include "tools/market/generator.h"
#include "tools/millrace/key_file.h"
#include "tools/millrace/process.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace millrace::chaos {
namespace {

constexpr Nanos kStartMax = seconds(180);  // of each step, on a machine that does much else
constexpr Nanos kHealMax = seconds(180);
constexpr Nanos kStopMax = seconds(600);
constexpr Nanos kCancelEvery = seconds(5);
constexpr Nanos kLookEvery = millis(50);
constexpr StageId kStageProcesses[] = {StageId::Engine,  StageId::Replica, StageId::Broker,
                                       StageId::Journal, StageId::Ingress, StageId::Sqlite};

std::string text_of(const std::string& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

ProcessId holder_of(const Segment& segment, StageId id) {
    const StageEntry& e = segment.stage(id);
    // Relaxed: compared with /proc before anything is done to it.
    return {static_cast<int>(e.pid.load(std::memory_order_relaxed)),
            e.start_time.load(std::memory_order_relaxed)};
}

}  // namespace

World::World(WorldOptions options) : options_{std::move(options)} {
    ::signal(SIGPIPE, SIG_IGN);
    demo::become_subreaper();
}

World::~World() = default;

std::string World::prepare() {
    demo::Options o;
    o.accounts = options_.accounts;
    o.rate = options_.rate;
    o.seed = options_.seed;
    std::string message;
    if (!demo::prepare_input(o, input_, message)) {
        return message;
    }
    const char* keep = std::getenv("MILLRACE_CHAOS_KEEP");
    auto workspace = demo::Workspace::create(
        keep == nullptr ? "" : std::string{keep} + "/" + std::to_string(wall_ns()), message);
    if (!workspace) {
        return message;
    }
    workspace_ = std::move(workspace.value());
    demo::Plan plan = demo::make_plan(o, input_.symbols);
    plan.segment_name = "chaos-" + std::to_string(::getpid());
    plan.signals_port = ports_[0].number();
    plan.bridge_port = ports_[1].number();
    if (!workspace_.write(plan, message)) {
        return message;
    }
    edit_config();
    pipeline_ = std::make_unique<demo::Pipeline>(workspace_, std::move(plan), input_.market);
    pipeline_->set_start_max(kStartMax);
    pipeline_->set_stop_max(kStopMax);
    pipeline_->set_broker_control(workspace_.path("control"));
    return "";
}

std::string World::journal_dir() const {
    return options_.journal_dir.empty() ? workspace_.path("journal") : options_.journal_dir;
}

void World::edit_config() const {
    std::string text = text_of(workspace_.path("millrace.json"));
    std::vector<Edit> edits = options_.edits;
    // Every journal that is killed leaves two prepared files: small ones are enough here.
    edits.push_back({"\"file_mib\": 16", "\"file_mib\": 2"});
    // Nor does retention take the log's beginning on a machine whose disk is nearly full: it would
    // be missed when all of it is replayed at the end.
    const std::string floor = "\"free_floor_mib\"";
    const auto sets_floor = [&](const Edit& e) { return e.put.find(floor) != std::string::npos; };
    if (std::none_of(edits.begin(), edits.end(), sets_floor)) {
        edits.push_back({"\"file_mib\"", floor + ": 0, \"file_mib\""});
    }
    // A stage has time to drain, however much the machine does besides.
    const auto has = [&](const std::string& key) {
        return std::any_of(edits.begin(), edits.end(),
                           [&](const Edit& e) { return e.put.find(key) != std::string::npos; });
    };
    if (!has("\"drain_ms\"")) {
        const std::string restart = "\"restart\": {";
        const std::string drain = "\"drain_ms\": 60000";
        edits.push_back(has(restart)
                            ? Edit{restart, restart + drain + ", "}
                            : Edit{"\"accounts_max\"", restart + drain + "}, \"accounts_max\""});
    }
    edits.push_back({"\"" + workspace_.path("journal") + "\"", "\"" + journal_dir() + "\""});
    for (const Edit& edit : edits) {
        const std::size_t at = text.find(edit.find);
        ASSERT(at != std::string::npos);
        text.replace(at, edit.find.size(), edit.put);
    }
    std::ofstream{workspace_.path("millrace.json")} << text;
}

std::string World::start() {
    if (std::string why = prepare(); !why.empty()) {
        return why;
    }
    if (std::string why = pipeline_->start(true); !why.empty()) {
        return why;
    }
    logins_ = pipeline_->logins();
    return connect();
}

std::string World::connect() {
    demo::SourceOptions so;
    so.clock = segment().clock();
    so.keep_stamps = options_.keep_stamps;
    so.ttl_ms = options_.ttl_ms;
    so.client.port = pipeline_->plan().signals_port;
    so.client.source = pipeline_->plan().source;
    std::string message;
    so.client.key = parse_key(pipeline_->plan().source_key_hex, message);
    so.client.ack_log = workspace_.path("source.acks");
    auto source = demo::Source::create(so, message);
    if (!source) {
        return message;
    }
    source_ = std::move(source.value());
    script_ = input_.make_script(
        source_->lives(),
        [this](std::string_view symbol) -> std::optional<demo::QuoteNow> {
            const auto q = pipeline_->quote(symbol);
            return q ? std::optional{demo::QuoteNow{q->bid, q->ask}} : std::nullopt;
        },
        pipeline_->market_start());
    began_ns_ = monotonic_ns();
    quiet_ = true;
    const bool up = turn_until([this] { return source_->connected(); }, kStartMax);
    quiet_ = false;
    return up ? "" : "the source could not log in: " + source_->last_error();
}

void World::turn() {
    reap();
    const Nanos elapsed{monotonic_ns() - began_ns_};
    if (!waiting_ && !quiet_) {
        waiting_ = script_->next(elapsed);
    }
    while (waiting_) {
        const Status sent = source_->send(*waiting_);
        if (!sent && sent.code() == Errc::Busy) {
            break;  // the client is full: next time
        }
        waiting_ = quiet_ ? std::nullopt : script_->next(elapsed);
    }
    source_->poll(1);
}

bool World::turn_until(const std::function<bool()>& done, Nanos limit) {
    const std::int64_t until = monotonic_ns() + limit.value;
    while (!done()) {
        if (monotonic_ns() > until) {
            return false;
        }
        turn();
    }
    return true;
}

void World::turn_for(Nanos time) {
    (void)turn_until([] { return false; }, time);
}

bool World::kill_stage(StageId id, int signal) {
    const auto watch = ProcessWatch::open(holder_of(segment(), id));
    if (!watch || watch.value().dead()) {
        return false;
    }
    watch.value().send(signal);
    if (signal == SIGKILL) {
        killed_.push_back(watch.value().id().pid);
    }
    return true;
}

/// A stage whose supervisor died before it is our child now, and stays a zombie until it is waited
/// for. One whose parent lives is not ours: ECHILD, nothing happens.
void World::reap() {
    std::erase_if(killed_, [](int pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
}

void World::kill_everything() {
    // The supervisor first, or it would start again what dies.
    pipeline_->supervisor().signal(SIGKILL);
    (void)pipeline_->supervisor().wait(kHealMax);
    pipeline_->broker().signal(SIGKILL);
    (void)pipeline_->broker().wait(kHealMax);
    const std::int64_t until = monotonic_ns() + kHealMax.value;
    for (bool any = true; any && monotonic_ns() < until;) {
        any = false;
        for (const StageId id : kStageProcesses) {
            any = kill_stage(id) || any;
        }
        reap();
    }
    // A stage that was just starting stands in no table yet.
    demo::end_descendants();
}

std::string World::start_again() {
    if (std::string why = pipeline_->start(true); !why.empty()) {
        return why;
    }
    logins_ = pipeline_->logins();
    return "";
}

std::string World::heal() {
    std::string why;
    if (!pipeline_->supervisor().running()) {
        why += pipeline_->start_supervisor();
    }
    if (!pipeline_->broker().running()) {
        why += pipeline_->start_broker();
    }
    return why;
}

Result<demo::Child> World::spawn(const std::vector<std::string>& words,
                                 std::string& message) const {
    const auto self = std::filesystem::read_symlink("/proc/self/exe");
    const auto tools = self.parent_path().parent_path();
    std::vector<std::string> arguments{(tools / "millrace/millrace").string()};
    arguments.insert(arguments.end(), words.begin(), words.end());
    arguments.insert(arguments.end(), {"-c", workspace_.path("millrace.json")});
    const std::string log = workspace_.path("command.log");
    std::filesystem::remove(log);
    return demo::Child::spawn(arguments, log, message);
}

int World::command(const std::vector<std::string>& words, Nanos limit, std::string* output,
                   const std::function<bool()>& given_up) {
    std::string message;
    auto child = spawn(words, message);
    if (!child) {
        return -1;
    }
    // The source goes on meanwhile.
    const auto over = [&] { return !child.value().running() || (given_up && given_up()); };
    const bool ended = turn_until(over, limit) && !child.value().running();
    if (output != nullptr) {
        *output = text_of(workspace_.path("command.log"));
    }
    return ended && WIFEXITED(child.value().status()) ? WEXITSTATUS(child.value().status()) : -1;
}

nlohmann::json World::control(const nlohmann::json& line) {
    const std::string path = workspace_.path("control");
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    ASSERT(path.size() < sizeof at.sun_path);
    std::memcpy(at.sun_path, path.c_str(), path.size());
    const timeval limit{30, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const std::string text = line.dump() + "\n";
    std::string answer;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 &&
        ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
        char bytes[4096];
        for (ssize_t n = 1; n > 0 && answer.find('\n') == std::string::npos;) {
            n = ::recv(fd, bytes, sizeof bytes, 0);
            answer.append(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
        }
    }
    ::close(fd);
    auto parsed = nlohmann::json::parse(answer, nullptr, false);
    return parsed.is_object() ? parsed : nlohmann::json{{"ok", false}, {"error", "no answer"}};
}

std::string World::log() const {
    return text_of(workspace_.path("millrace.log"));
}

std::map<std::uint32_t, std::uint64_t> World::fills() const {
    std::map<std::uint32_t, std::uint64_t> by_account;
    for (const auto& [id, life] : source_->lives().all()) {
        for (const auto& [account, share] : life.shares) {
            by_account[account] += share.done && share.cum_volume.value > 0 ? 1 : 0;
        }
    }
    return by_account;
}

bool World::each_account_fills(Nanos limit) {
    const Nanos since = source_->now();
    std::set<std::uint32_t> filled;
    std::int64_t look_at = 0;
    return turn_until(
        [&] {
            if (monotonic_ns() < look_at) {
                return false;
            }
            look_at = monotonic_ns() + kLookEvery.value;
            for (const auto& [id, life] : source_->lives().all()) {
                for (const auto& [account, share] : life.shares) {
                    if (life.sent >= since && life.request.action == SignalAction::Open &&
                        share.cum_volume.value > 0) {
                        filled.insert(account);
                    }
                }
            }
            return filled.size() == logins_.size();
        },
        limit);
}

bool World::rest(Nanos limit) {
    quiet_ = true;
    std::int64_t cancel_at = 0;
    const auto settled = [this, &cancel_at] {
        if (monotonic_ns() >= cancel_at) {
            cancel_at = monotonic_ns() + kCancelEvery.value;
            cancel_working();
        }
        source_->ask_again();
        return source_->settled() && !waiting_;
    };
    return turn_until(settled, limit);
}

/// A pending order has no end of its own. The script has sent a cancel for most, but that one may
/// have run out of time while something was dead.
void World::cancel_working() {
    market::Random random{static_cast<std::uint64_t>(wall_ns())};
    for (const SignalId& id : source_->lives().open()) {
        const demo::Life& life = *source_->lives().find(id);
        const SignalRequest& r = life.request;
        if (life.answer == demo::Answer::Accepted && r.action == SignalAction::Open &&
            r.price_kind != PriceKind::Market) {
            demo::Planned cancel;
            cancel.request.id = demo::random_id(random);
            cancel.request.target = id;
            cancel.request.group = r.group;
            cancel.request.symbol = r.symbol;
            cancel.request.side = r.side;
            cancel.request.action = SignalAction::Cancel;
            (void)source_->send(cancel);  // a refused one is judged like any other signal
        }
    }
}

void World::settle(Nanos limit, Judgement& judgement) {
    std::vector<std::string>& problems = judgement.problems;
    if (const std::string why = heal(); !why.empty()) {
        problems.push_back(why);
    }
    if (!turn_until([this] { return pipeline_->accounts_ready(); }, kHealMax)) {
        problems.push_back("not every account trades again");
    }
    // Relaxed: a number to wait for. It is compared each 256 records, which trading makes.
    const auto compared = [this] {
        return segment().core().replica_hash_checked.load(std::memory_order_relaxed) != 0;
    };
    // Where a test sends what it wants itself, that may be too little.
    const bool few = quiet_ && segment().core().completed.load(std::memory_order_relaxed) < 1024;
    if (!few && !turn_until(compared, limit)) {
        problems.push_back("the replica has never compared its state with the engine's");
    }
    if (!rest(limit)) {
        problems.push_back(std::to_string(source_->lives().open_count()) +
                           " signals have no end after " + std::to_string(limit.value / 1'000'000) +
                           " ms");
    }
    // Relaxed: a count to wait for.
    const auto in_doubt = [this] {
        return segment().core().in_doubt.load(std::memory_order_relaxed);
    };
    if (!turn_until([&] { return in_doubt() == 0; }, limit)) {
        problems.push_back(std::to_string(in_doubt()) + " orders are still in doubt");
    }
    const std::uint64_t differs = segment().core().replica_hash_mismatch.load();
    if (differs != 0) {
        problems.push_back("the replica computes otherwise than the engine at record " +
                           std::to_string(differs));
    }
}

}  // namespace millrace::chaos
