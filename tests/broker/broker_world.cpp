#include "broker_world.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <poll.h>
#include <unistd.h>

namespace millrace::test {
namespace {

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "broker test world: %s\n", why.c_str());
    std::abort();
}

}  // namespace

std::array<std::byte, 32> key_of(std::uint64_t login) {
    std::array<std::byte, 32> key{};
    for (std::size_t i = 0; i < key.size(); ++i) {
        key[i] = static_cast<std::byte>((login * 31 + i * 7) & 0xFFU);
    }
    return key;
}

AccountLookup lookup(std::uint32_t accounts, GateLevel gate, std::string_view suffix,
                     const AccountFacts& facts) {
    const Text<8> text = make_text<8>(suffix);
    return [=](std::uint64_t login, TerminalAccount& found) {
        if (login < kFirstLogin || login >= kFirstLogin + accounts) {
            return false;
        }
        const auto key = key_of(login);
        found.account = AccountId{static_cast<std::uint32_t>(login - kFirstLogin)};
        std::copy(key.begin(), key.end(), found.key.begin());
        found.key_bytes = key.size();
        found.gate = gate;
        found.symbol_suffix = text;
        found.facts = facts;
        return true;
    };
}

TempDir::TempDir() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "millrace-broker-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        give_up("cannot make " + pattern);
    }
    path_ = pattern;
}
TempDir::~TempDir() {
    std::error_code ignored;  // a leftover in the temp directory fails no test
    std::filesystem::remove_all(path_, ignored);
}

bool Terminal::connect_if_possible(std::uint16_t port) {
    reader_.reset();
    denied.clear();
    auto fd = net::begin_connect("127.0.0.1", port);
    if (!fd) {
        return false;
    }
    pollfd p{fd.value().get(), POLLOUT, 0};
    if (::poll(&p, 1, 5000) != 1 || net::connect_error(fd.value().get()) != 0) {
        return false;
    }
    fd_ = std::move(fd.value());
    return true;
}

void Terminal::connect(std::uint16_t port) {
    if (!connect_if_possible(port)) {
        give_up("connect to port " + std::to_string(port) + " failed");
    }
}

void Terminal::disconnect() {
    fd_.reset();
}

void Terminal::send_bytes(std::span<const std::byte> bytes) {
    if (fd_ && ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        disconnect();
    }
}

void Terminal::send_sync_done() {
    std::array<std::byte, 64> out;
    const auto type = static_cast<std::uint8_t>(bridge::FrameType::SyncDone);
    send_bytes({out.data(), wire::encode_bytes(out, type, version, 0, {})});
}

void Terminal::send_event(const bridge::Event& event) {
    events.push_back(event);
    resend_event(events.size() - 1);
}

void Terminal::poll() {
    while (fd_ && reads) {
        const auto room = reader_.space();
        const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            disconnect();
            return;
        }
        reader_.filled(static_cast<std::size_t>(n));
        for (auto f = reader_.next(); f.ok() && f.value() != nullptr; f = reader_.next()) {
            on_frame(*f.value());
        }
    }
}

void Terminal::answer(const bridge::Challenge& challenge) {
    bridge::Hello hello{};
    hello.login = login_;
    hello.journal_id = journal_id;
    hello.command_seq = command_seq;
    hello.command_epoch = command_epoch;
    hello.generation = generation;
    hello.epoch = epoch;
    hello.event_seq = events.size();
    hello.margin_mode = static_cast<std::uint8_t>(margin_mode);
    hello.permissions = hello_permissions;
    wire::fill_nonce(hello.nonce);
    std::memcpy(nonce_, hello.nonce, sizeof nonce_);
    const auto key = key_of(login_);
    const auto part = std::as_bytes(std::span{&hello, 1}).first(offsetof(bridge::Hello, mac));
    wire::hmac_sha256(key, std::as_bytes(std::span{challenge.nonce}), part, hello.mac);
    hello.mac[0] = static_cast<std::uint8_t>(hello.mac[0] ^ (spoils_mac ? 1U : 0U));
    send(bridge::FrameType::Hello, 0, hello);
}

void Terminal::on_frame(const wire::Frame& frame) {
    switch (static_cast<bridge::FrameType>(frame.header.type)) {
        case bridge::FrameType::Challenge: answer(frame.as<bridge::Challenge>().value()); break;
        case bridge::FrameType::Welcome: {
            const auto w = frame.as<bridge::Welcome>().value();
            const auto part = std::as_bytes(std::span{&w, 1}).first(offsetof(bridge::Welcome, mac));
            wire::Mac mac;
            wire::hmac_sha256(key_of(login_), std::as_bytes(std::span{nonce_}), part, mac);
            forged_welcomes += wire::same_mac(mac, w.mac) ? 0U : 1U;
            welcomes.push_back(w);
            generation = w.generation;
            epoch = w.epoch;
            if (command_epoch != w.command_epoch) {
                command_epoch = w.command_epoch;
                command_seq = 0;
            }
            for (std::size_t i = std::max(w.event_seq, forgotten); i < events.size(); ++i) {
                resend_event(i);
            }
            if (syncs) {
                send_sync_done();
            }
            break;
        }
        case bridge::FrameType::Command:
            command_seq = frame.header.seq;
            commands.push_back({frame.header.seq, frame.as<bridge::Command>().value()});
            order.push_back('C');
            if (acks) {
                send(bridge::FrameType::RxAck, 0, bridge::RxAck{command_seq});
            }
            break;
        case bridge::FrameType::Kill:
            kills.push_back(frame.as<bridge::Kill>().value());
            order.push_back('K');
            break;
        case bridge::FrameType::EventAck:
            forgotten = frame.as<bridge::EventAck>().value().event_seq;
            break;
        case bridge::FrameType::Heartbeat: ++heartbeats; break;
        case bridge::FrameType::Denied: denied = frame.as<bridge::Denied>().value().reason; break;
        default: give_up("terminal got an unexpected frame type");
    }
}

World::World(WorldOptions o) : options{std::move(o)} {
    SegmentPlan plan;
    plan.path = (dir.path() / "segment").string();
    plan.journal_dir = dir.path().string();
    plan.sessions = options.accounts;
    plan.session_slots = options.session_slots;
    plan.orders_slots = options.orders_slots;
    plan.reports_slots = options.reports_slots;
    plan.journal_slots = 64;
    plan.signals_slots = 64;
    plan.results_slots = 64;
    plan.admin_slots = 64;
    plan.memory.lock = MemoryWish::Off;
    std::string message;
    auto made = Segment::create(plan, message);
    if (!made) {
        give_up(message);
    }
    segment = std::move(made.value());
    orders_ = RingProducer<OrderSlot>::attach(segment.ring<OrderSlot>("orders")).value();
    admin_ = RingProducer<KillSlot>::attach(segment.ring<KillSlot>("admin.broker")).value();
    reports_ = RingConsumer<ReportSlot>::attach(segment.ring<ReportSlot>("reports")).value();
    for (std::uint32_t i = 0; i < options.accounts; ++i) {
        entry(i).login.store(kFirstLogin + i, std::memory_order_release);
    }
    journal_is(JournalState::Running);
    if (options.starts) {
        start_stage();
    }
}

void World::start_stage() {
    BrokerOptions o;
    o.find_account = lookup(options.accounts, options.gate, options.suffix, options.facts);
    o.epoch = options.epoch;
    o.magic_tag = options.stage_tag;
    o.find_symbol = options.find_symbol;
    std::string message;
    auto made = BrokerStage::create(segment, std::move(o), message);
    if (!made) {
        give_up(message);
    }
    stage = std::move(made.value());
}

void World::step() {
    if (stage) {
        stage->step(now());
    }
    for (const auto& terminal : terminals) {
        terminal->poll();
    }
    if (engine_reads) {
        read_reports();
    }
}

void World::steps(int n) {
    for (int i = 0; i < n; ++i) {
        step();
    }
}

bool World::until(const std::function<bool()>& condition) {
    const std::int64_t give_up_at = monotonic_ns() + seconds(180).value;
    while (!condition()) {
        if (monotonic_ns() > give_up_at) {
            return false;
        }
        step();
    }
    return true;
}

Terminal& World::connect(std::uint64_t login, std::uint64_t journal_id) {
    Terminal& t = *terminals.emplace_back(std::make_unique<Terminal>(login, journal_id));
    t.connect(stage->port());
    const auto account = static_cast<std::uint32_t>(login - kFirstLogin);
    if (!until([&] { return t.welcomes.size() == 1 && is_up(account); })) {
        give_up("terminal did not come up: " + t.denied);
    }
    return t;
}

bool World::is_up(std::uint32_t account) const {
    return segment.session(AccountId{account}).link.load(std::memory_order_acquire) ==
           static_cast<std::uint32_t>(LinkState::Up);
}

Magic World::order(std::uint32_t account, CommandType type, Nanos life) {
    OrderCommand c{};
    c.account = AccountId{account};
    c.magic = Magic::make(order_tag, last_seq + 1, 0);
    c.type = type;
    c.symbol = make_text<16>("EURUSD" + options.suffix);
    c.volume = Lots{kScale / 10};
    c.deadline = life.value == 0 ? Nanos{} : now() + life;
    publish(c);
    return c.magic;
}

void World::publish(OrderCommand command) {
    command.seq = Sequence{++last_seq};
    command.engine_time = now();
    command.edge_time = now();
    if (!orders_.try_publish(OrderSlot{command, {}})) {
        give_up("orders ring is full");
    }
}

void World::kill(const KillCommand& kill) {
    if (!admin_.try_publish(KillSlot{kill})) {
        give_up("admin.broker ring is full");
    }
}

void World::journal_is(JournalState state) {
    segment.core().journal_state.store(static_cast<std::uint32_t>(state),
                                       std::memory_order_release);
}
void World::durable_upto(std::uint64_t seq) {
    segment.core().durable.store(seq, std::memory_order_release);
}

void World::read_reports() {
    CoreCells& core = segment.core();
    while (const ReportSlot* slot = reports_.peek()) {
        reports.push_back(slot->value);
        reports_.advance();
        // As the engine does: `completed` before the input cursor (rule 2 d, e).
        core.completed.store(core.completed.load(std::memory_order_relaxed) + 1,
                             std::memory_order_release);
        reports_.release();
    }
}

std::size_t World::count(ReportType type, std::uint32_t account) const {
    std::size_t n = 0;
    for (const Report& r : reports) {
        n += r.type == type && (account == kNoId || r.account.value == account) ? 1U : 0U;
    }
    return n;
}

const Report* World::unsent(Magic magic) const {
    for (const Report& r : reports) {
        if (r.type == ReportType::Unsent && r.magic == magic) {
            return &r;
        }
    }
    return nullptr;
}

std::uint64_t World::errors(std::string_view part) const {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment.error(i);
        const bool found = std::string_view{e.text}.find(part) != std::string_view::npos;
        sum += found ? e.count.load(std::memory_order_relaxed) : 0;
    }
    return sum;
}

void World::define_symbol(std::uint32_t id, std::string_view name) {
    NameEntry& e = segment.names().symbols[id];
    e.name = make_text<16>(name);
    e.ready.store(1, std::memory_order_release);
}

bridge::Event filled(Magic magic) {
    bridge::Event e{};
    e.type = static_cast<std::uint8_t>(ReportType::Outcome);
    e.ord_status = static_cast<std::uint8_t>(OrdStatus::Filled);
    e.magic = magic.value;
    e.retcode = 10009;
    e.deal_ticket = magic.intent();
    e.volume = e.requested = kScale / 10;
    e.price = 110'000'000;
    return e;
}

}  // namespace millrace::test
