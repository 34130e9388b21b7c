#include "tests/mt5/desk.h"

#include <gtest/gtest.h>
#include "tests/covers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <utility>

namespace millrace::mt5::test {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point in_ms(int ms) {
    return Clock::now() + std::chrono::milliseconds{ms};
}

int left_ms(Clock::time_point deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    return std::max(0, static_cast<int>(left.count()));
}

ReportType type_of(const bridge::Event& event) {
    return static_cast<ReportType>(event.type);
}

}  // namespace

TempDir::TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mt5_XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
}
TempDir::~TempDir() {
    std::error_code ignored;  // a directory that stays behind fails no test
    std::filesystem::remove_all(dir_, ignored);
}

// -- process -------------------------------------------------------------------------------------

HostProcess::HostProcess(const TempDir& dir, std::uint16_t port, HostSetup setup)
    : dir_{dir}, port_{port}, setup_{std::move(setup)} {
    std::ofstream{dir.path("config.json")}
        << R"({"accounts":[{"login":)" << kLogin << R"(,"key":")" << setup_.key
        << R"(","margin_mode":")" << setup_.margin_mode
        << R"(","balance":"100000"}],"symbols":["EURUSD","GBPUSD",)"
        << R"({"name":"QUARTERS","digits":2,"tick_size":"0.25"}]})";
}

void HostProcess::start(std::uint64_t kill_at) {
    millrace::test::covered("runs of the Expert Advisor");
    std::vector<std::string> arguments{MT5_HOST,
                                       "-c",
                                       dir_.path("config.json"),
                                       "--connect",
                                       "127.0.0.1:" + std::to_string(port_),
                                       "--books",
                                       dir_.path("books"),
                                       "--journal-dir",
                                       dir_.path("files"),
                                       "--control",
                                       dir_.path("control"),
                                       "--absent-after-ms",
                                       setup_.settle_ms,
                                       "--quote",
                                       setup_.quote,
                                       "--seed",
                                       std::to_string(setup_.seed),
                                       "--kill-at",
                                       std::to_string(kill_at)};
    for (const std::string& input : setup_.inputs) {
        arguments.insert(arguments.end(), {"--input", input});
    }
    for (const std::string& knob : setup_.knobs) {
        arguments.insert(arguments.end(), {"--knob", knob});
    }
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
        argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(out[1], STDOUT_FILENO);
        const int quiet = ::getenv("MT5_VERBOSE") == nullptr ? ::open("/dev/null", O_WRONLY) : -1;
        if (quiet >= 0) {
            ::dup2(quiet, STDERR_FILENO);
        }
        ::execv(MT5_HOST, argv.data());
        ::_exit(127);
    }
    ::close(out[1]);
    pollfd ready{out[0], POLLIN, 0};
    EXPECT_GT(::poll(&ready, 1, 60'000), 0) << "neither ready nor dead in 60 s";
    ::close(out[0]);
}

void HostProcess::kill9() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, &status_, 0);
        pid_ = -1;
    }
}

void HostProcess::stop() {
    ::kill(pid_, SIGTERM);
    wait_end();
}

bool HostProcess::died() {
    if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) {
        pid_ = -1;
    }
    return pid_ < 0;
}

int HostProcess::wait_end() {
    for (const auto deadline = in_ms(60'000); Clock::now() < deadline;) {
        if (died()) {
            return status_;
        }
        ::poll(nullptr, 0, 2);
    }
    ADD_FAILURE() << "the terminal is still alive";
    return -1;
}

std::string HostProcess::control(const std::string& members) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir_.path("control");
    std::memcpy(address.sun_path, path.c_str(), path.size());
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << members;
    const std::string line = "{" + members + "}\n";
    EXPECT_EQ(::send(fd, line.data(), line.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(line.size()));
    std::string answer;
    for (char byte = 0; ::recv(fd, &byte, 1, 0) == 1 && byte != '\n';) {
        answer += byte;
    }
    ::close(fd);
    EXPECT_NE(answer.find(R"("ok":true)"), std::string::npos) << members << " -> " << answer;
    return answer;
}

std::uint64_t HostProcess::stat(const std::string& name) {
    const std::string answer = control(R"("cmd":"stats")");
    const auto at = answer.find("\"" + name + "\":");
    EXPECT_NE(at, std::string::npos) << name << " in " << answer;
    if (at == std::string::npos) {
        return 0;
    }
    const char* value = answer.c_str() + at + name.size() + 3;
    return *value == 't' ? 1 : std::strtoull(value, nullptr, 10);
}

void HostProcess::knob(const std::string& name, std::int64_t value) {
    control(R"("cmd":"knob","name":")" + name + R"(","value":)" + std::to_string(value));
}

void HostProcess::quote(const char* bid, const char* ask) {
    control(std::string{R"("cmd":"tick","symbol":"EURUSD","bid":")"} + bid + R"(","ask":")" + ask +
            "\"");
}

void HostProcess::fault(const std::string& members) {
    control(R"("cmd":"fault",)" + members);
}

// -- what was told -------------------------------------------------------------------------------

std::int64_t Told::volume() const {
    std::int64_t sum = 0;
    for (const auto& [deal, volume] : fills) {
        sum += volume;
    }
    const bool found = query && type_of(*query) == ReportType::QueryFound;
    return found ? std::max(sum, query->volume) : sum;
}

bool Told::is_open() const {
    if (query &&
        (type_of(*query) == ReportType::QueryFound || type_of(*query) == ReportType::QueryAbsent)) {
        return false;
    }
    return outcomes.empty() ||
           outcomes.back().ord_status == static_cast<std::uint8_t>(OrdStatus::InDoubt);
}

// -- desk ----------------------------------------------------------------------------------------

Desk::Desk() {
    listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listen_fd_, 8), 0);
    EXPECT_EQ(::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
}

void Desk::close() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
    fd_ = -1;
    up = synced = false;
    reader_.reset();
}

bool Desk::send(bridge::FrameType type, std::uint64_t seq, std::span<const std::byte> body) {
    std::byte out[wire::kFrameBytesMax];
    const std::size_t bytes =
        wire::encode_bytes(out, static_cast<std::uint8_t>(type), bridge::kVersion, seq, body);
    if (fd_ < 0 || ::send(fd_, out, bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) {
        close();  // the terminal died: what it has not journalled is sent again
        return false;
    }
    return true;
}

void Desk::accept() {
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    close();
    fd_ = fd;
    bridge::Challenge challenge{};
    wire::fill_nonce(challenge.nonce);
    send(bridge::FrameType::Challenge, 0, challenge);
}

void Desk::sign(bridge::Welcome& welcome) const {
    std::vector<std::byte> key;
    for (std::string text = kKey; !text.empty(); text.erase(0, 2)) {
        key.push_back(static_cast<std::byte>(std::stoi(text.substr(0, 2), nullptr, 16)));
    }
    const auto part = std::as_bytes(std::span{&welcome, 1}).first(offsetof(bridge::Welcome, mac));
    wire::hmac_sha256(key, std::as_bytes(std::span{hello.nonce}), part, welcome.mac);
    welcome.mac[0] = static_cast<std::uint8_t>(welcome.mac[0] ^ (spoils_mac ? 1U : 0U));
}

void Desk::on_hello(const bridge::Hello& said) {
    hello = said;
    if (!refuses.empty()) {
        ++refusals;
        return deny(refuses);
    }
    ++sessions;
    if (journal_ids.empty() || journal_ids.back() != hello.journal_id) {
        journal_ids.push_back(hello.journal_id);
        last_event_ = 0;
    }
    EXPECT_TRUE(expects_rollback || hello.event_seq >= last_event_)
        << "numbers were handed out twice";
    generation_ = std::max({generation_, hello.generation, least_generation}) + 1;
    sent_ = std::max(hello.command_epoch == 0 ? 0 : hello.command_seq, rx_acked);
    bridge::Welcome welcome{};
    welcome.generation = generation_;
    welcome.epoch = 1;
    welcome.command_epoch = 77;
    welcome.next_command_seq = sent_ + 1;
    welcome.event_seq = last_event_;
    welcome.magic_tag = magic_tag;
    sign(welcome);
    up = send(bridge::FrameType::Welcome, 0, welcome);
    for (const auto& [scope, kill] : kills_) {
        send(bridge::FrameType::Kill, 0, kill);
    }
}

void Desk::on_event(std::uint64_t seq, const bridge::Event& event) {
    if (seq <= last_event_) {
        return;
    }
    gaps += seq != last_event_ + 1 ? 1U : 0U;
    last_event_ = seq;
    millrace::test::covered("events");
    Told& about = told[event.magic];
    switch (type_of(event)) {
        case ReportType::Outcome:
        case ReportType::Unsent:
            ++answers;
            about.outcomes.push_back(event);
            break;
        case ReportType::Exec:
            execs.push_back(event);
            if (event.exec_kind != static_cast<std::uint8_t>(ExecKind::PendingFilled)) {
                return;
            }
            break;
        case ReportType::AccountInfo: info = event; return;
        default: about.query = event; return;
    }
    if (event.deal_ticket != 0) {
        about.fills[event.deal_ticket] = event.volume;
    }
}

void Desk::on_frame(const wire::Frame& frame) {
    switch (static_cast<bridge::FrameType>(frame.header.type)) {
        case bridge::FrameType::Hello: return on_hello(frame.as<bridge::Hello>().value());
        case bridge::FrameType::Event:
            on_event(frame.header.seq, frame.as<bridge::Event>().value());
            send(bridge::FrameType::EventAck, 0, bridge::EventAck{last_event_});
            return;
        case bridge::FrameType::RxAck:
            if (!resends) {
                rx_acked = std::max(rx_acked, frame.as<bridge::RxAck>().value().command_seq);
            }
            return;
        case bridge::FrameType::Busy:
            ++busy_frames;
            acked_at_busy.push_back(rx_acked);
            answers_at_busy.push_back(answers);
            return;
        case bridge::FrameType::Tick: ++ticks; return;
        case bridge::FrameType::SyncDone: synced = true; return;
        case bridge::FrameType::Symbol:
            symbols.push_back(frame.as<bridge::Symbol>().value());
            return;
        case bridge::FrameType::Account:
            accounts.push_back(frame.as<bridge::Account>().value());
            accounts_synced.push_back(synced);
            return;
        case bridge::FrameType::Holding:
            rows_.push_back(frame.as<bridge::Holding>().value());
            return;
        case bridge::FrameType::HoldingsEnd:
            EXPECT_EQ(frame.as<bridge::HoldingsEnd>().value().count, rows_.size());
            holdings = std::exchange(rows_, {});
            ++lists;
            empty_lists += holdings.empty() ? 1U : 0U;
            return;
        default: return;
    }
}

void Desk::send_queue() {
    for (Queued& queued : queue_) {
        if (queued.seq > sent_ && up) {
            queued.command.generation = generation_;
            queued.command.flags =
                resends && sessions > 1 ? bridge::kCommandResent : std::uint8_t{0};
            if (send(bridge::FrameType::Command, queued.seq, queued.command)) {
                sent_ = queued.seq;
            }
        }
    }
}

void Desk::serve(int ms) {
    pollfd polled[2]{{fd_ >= 0 ? fd_ : listen_fd_, POLLIN, 0}, {listen_fd_, POLLIN, 0}};
    ::poll(polled, 2, ms);
    if (listens) {
        accept();
    }
    if (fd_ >= 0) {
        const auto room = reader_.space();
        const ssize_t n = ::recv(fd_, room.data(), room.size(), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return close();
        }
        reader_.filled(n > 0 ? static_cast<std::size_t>(n) : 0U);
        for (auto frame = reader_.next(); frame.ok() && frame.value() != nullptr;
             frame = reader_.next()) {
            on_frame(*frame.value());
            if (fd_ < 0) {
                return;
            }
        }
    }
    send_queue();
}

bool Desk::until(const std::function<bool()>& condition, int ms) {
    const auto deadline = in_ms(ms);
    while (!condition()) {
        if (Clock::now() >= deadline) {
            return false;
        }
        serve(std::min(20, left_ms(deadline)));
    }
    return true;
}

std::uint64_t Desk::submit(bridge::Command command) {
    millrace::test::covered("commands");
    queue_.push_back({queue_.size() + 1, command});
    send_queue();
    return command.magic;
}

void Desk::query(std::uint64_t magic) {
    told[magic].query.reset();
    bridge::Command command = command_of(0, CommandType::Query);
    command.magic = magic;
    submit(command);
}

void Desk::kill(std::uint64_t id, std::uint8_t actions, const std::string& symbol) {
    bridge::Kill kill{};
    kill.kill_id = id;
    kill.actions = actions;
    std::memcpy(kill.symbol, symbol.data(), symbol.size());
    kills_[symbol] = kill;
    if (up) {
        send(bridge::FrameType::Kill, 0, kill);
    }
}

bool Desk::until_answered(std::uint64_t magic, int ms) {
    return until([&] { return !told[magic].outcomes.empty(); }, ms);
}

bridge::Event Desk::resolve(std::uint64_t magic, int ms) {
    for (const auto deadline = in_ms(ms); Clock::now() < deadline;) {
        query(magic);
        if (!until([&] { return told[magic].query.has_value(); }, left_ms(deadline))) {
            break;
        }
        if (type_of(*told[magic].query) != ReportType::QueryUnknown) {
            return *told[magic].query;
        }
        serve(20);
    }
    ADD_FAILURE() << "magic " << magic << " stays unknown";
    return told[magic].query.value_or(bridge::Event{});
}

}  // namespace millrace::mt5::test
