// Dialling: when, at which access point, and what came of it. Each attempt is a QuickFIX initiator
// of its own, because one that has been started cannot be told to wait, to dial somebody else or to
// give up a connection that does not come. Making one costs a thread; ending one may take a second,
// for which nobody here waits.
#include "gateway/fix/session/quickfix_session.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <sstream>
#include <system_error>

namespace millrace {
namespace fix {
namespace {

using Time = LinkSchedule::Time;

constexpr auto kGapMax = std::chrono::seconds(10);
constexpr auto kLogoutWait = std::chrono::seconds(2);
/// From the begin of an attempt to our logon: connection and TLS. The kernel would wait two
/// minutes.
constexpr auto kConnectMax = std::chrono::seconds(5);
/// QuickFIX has no connection for so long: it is over, not about to begin.
constexpr auto kIdleMin = std::chrono::milliseconds(200);
constexpr int kUnansweredMax = 3;

Time time_now() {
    return std::chrono::duration_cast<Time>(Clock::now().time_since_epoch());
}

/// All pauses in proportion to the one between attempts: 3 s, 30 s, 5 min; 5 s are a success.
LinkRules rules_of(const SessionSettings& settings) {
    LinkRules rules;
    rules.period = std::chrono::milliseconds(settings.reconnect_ms);
    rules.slow_first = rules.period * 10;
    rules.slow_max = rules.period * 100;
    rules.stable = rules.period * 5 / 3;
    rules.refused_first = std::chrono::milliseconds(settings.pause_ms);
    rules.refusals_max = settings.refusals_max;
    rules.access_points = settings.backup_host.empty() ? 1 : 2;
    return rules;
}

template <class Base>
class DialBy final : public Dial {
public:
    DialBy(QuickfixSession& owner, const FIX::SessionSettings& settings, FIX::LogFactory& logs)
        : initiator_(owner, owner, settings, logs) {}
    void start() override { initiator_.start(); }
    void stop() override { initiator_.stop(true); }
    bool is_idle(const FIX::SessionID& id) override { return initiator_.is_idle(id); }

private:
    struct Open final : Base {
        using Base::Base;
        bool is_idle(const FIX::SessionID& id) { return this->isDisconnected(id); }
    };
    Open initiator_;
};

/// True if a socket of this process is connected to that port of somebody.
bool is_connected_to(std::uint16_t port) {
    const long most = std::min(::sysconf(_SC_OPEN_MAX), 65536L);
    for (int fd = 0; fd < most; ++fd) {
        sockaddr_storage peer{};
        socklen_t bytes = sizeof peer;
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &bytes) != 0) {
            continue;
        }
        const std::uint16_t at =
            peer.ss_family == AF_INET    ? reinterpret_cast<const sockaddr_in&>(peer).sin_port
            : peer.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(peer).sin6_port
                                         : std::uint16_t{0};
        if (at == htons(port)) {
            return true;
        }
    }
    return false;
}

std::string in_seconds(Time time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

/// Groups in messages to us. Without them QuickFIX takes the second entry of a group for a repeated
/// field and refuses the message. It has no version, so that nothing else is checked: what a
/// message means is checked by its reader.
FIX::DataDictionaryProvider known_groups() {
    struct GroupOf {
        const char* types;  // MsgTypes, one character each
        int count;
        std::vector<int> fields;  // the first one begins an entry
    };
    const GroupOf groups[] = {
        {"W", 268, {269, 270, 15,  271, 272, 273, 274, 275, 336, 625, 276, 277, 282, 283, 284, 286,
                    59,  432, 126, 110, 18,  287, 37,  299, 288, 289, 346, 290, 546, 811, 58}},
        {"X", 268, {279, 285, 269, 278, 280, 55,  65,  48,  22,  270, 15,  271, 272, 273,
                    274, 275, 336, 625, 276, 277, 282, 283, 284, 286, 59,  432, 126, 110,
                    18,  287, 37,  299, 288, 289, 346, 290, 546, 811, 451, 58}},
        {"89j", 453, {448, 447, 452, 802}},
        {"8", 382, {375, 337, 437, 438, 655}},
        {"8", 136, {137, 138, 139, 891}},
        {"8", 454, {455, 456}},
        {"8", 518, {519, 520, 521}},
        {"8", 232, {233, 234}},
    };
    auto all = ptr::shared_ptr<FIX::DataDictionary>(new FIX::DataDictionary());
    for (const GroupOf& group : groups) {
        FIX::DataDictionary entry;
        for (const int field : group.fields) {
            entry.addField(field);
        }
        for (const char* type = group.types; *type != '\0'; ++type) {
            all->addGroup(std::string(1, *type), group.count, group.fields.front(), entry);
        }
    }
    FIX::DataDictionaryProvider provider;
    provider.addTransportDataDictionary(FIX::BeginString("FIX.4.4"), all);
    return provider;
}

}  // namespace

QuickfixSession::QuickfixSession(const SessionSettings& settings)
    : settings_(settings),
      id_("FIX.4.4", settings.sender_comp_id, settings.target_comp_id),
      news_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      session_(nullptr),
      schedule_(rules_of(settings),
                std::hash<std::string>()(settings.sender_comp_id + settings.target_comp_id) +
                    static_cast<std::uint64_t>(::getpid())) {}

const std::string& QuickfixSession::host() const {
    return schedule_.access_point() == 0 ? settings_.host : settings_.backup_host;
}
std::uint16_t QuickfixSession::port() const {
    return schedule_.access_point() == 0 ? settings_.port : settings_.backup_port;
}

std::string QuickfixSession::settings_text() const {
    std::ostringstream out;
    out << "[DEFAULT]\nConnectionType=initiator\nUseDataDictionary=N\n"
        << "StartTime=00:00:00\nEndTime=00:00:00\n"  // we log on whenever we can
        // Not N, though the store keeps no bodies: QuickFIX 1.15 then does not count the
        // ResendRequest itself as received, and may never ask for the gap that this leaves.
        << "PersistMessages=Y\nCheckLatency=N\nValidateUserDefinedFields=N\n"
        << "ValidateFieldsHaveValues=N\nValidateFieldsOutOfOrder=N\nSocketNodelay=Y\n"
        // Longer than since 1970, which is how long ago QuickFIX takes its last attempt to be: it
        // dials when it is started, and never by itself.
        << "TimestampPrecision=3\nReconnectInterval=2147483647\n"
        << "HeartBtInt=" << settings_.heartbeat_s << '\n'
        << "LogonTimeout=" << settings_.logon_timeout_s << '\n'
        << "ResetOnLogon=" << (settings_.reset_on_logon ? "Y\n" : "N\n");
    if (settings_.tls) {
        // Level 2: a certificate is wanted and its chain must lead to the CA file.
        out << "SSLProtocol=+TLSv1_2 +TLSv1_3\nCertificateVerifyLevel=2\n"
            << "CertificationAuthoritiesFile=" << settings_.tls_ca_file << '\n';
    }
    out << "[SESSION]\nBeginString=FIX.4.4\nSenderCompID=" << settings_.sender_comp_id << '\n'
        << "TargetCompID=" << settings_.target_comp_id << '\n'
        << "SocketConnectHost=" << host() << '\n'
        << "SocketConnectPort=" << port() << '\n';
    return out.str();
}

/// Asks for the name of the host that is dialled next in its certificate.
std::string QuickfixSession::expect_name() {
    const std::string name = settings_.tls_name.empty() ? host() : settings_.tls_name;
    if (!settings_.tls || name == tls_host_) {
        return "";
    }
    tls_name_.reset(new TlsName());
    const std::string trouble = tls_name_->expect(name);
    tls_host_ = trouble.empty() ? name : "";
    return trouble;
}

std::string QuickfixSession::begin() {
    for (const std::string& trouble :
         {file_.open(settings_.sequence_path), messages_.open(settings_.message_log)}) {
        if (!trouble.empty()) {
            return trouble;
        }
    }
    target_ = file_.target();
    return dial();
}

/// Begins an attempt. @return empty, or what is wrong with the settings.
std::string QuickfixSession::dial() {
    const std::string trouble = expect_name();
    if (!trouble.empty()) {
        return trouble;
    }
    bool was_on = false;
    {
        const std::lock_guard<std::mutex> hold{mutex_};
        attempt_ = Attempt{};
        highest_seen_ = 0;
        moved_ = Clock::now();
        was_on = on_;
        on_ = false;
    }
    if (was_on) {  // it logged on while it was being ended
        tell(SessionNews::Kind::LoggedOut, 0, "");
    }
    raw_number_ = passed_number_ = 0;  // of a thread that is no more
    dialled_at_ = busy_at_ = time_now();
    dialled_port_ = port();
    try {
        std::istringstream text{settings_text()};
        const FIX::SessionSettings settings{text};
        if (settings_.tls) {
            dial_.reset(new DialBy<FIX::SSLSocketInitiator>(*this, settings, log_maker_));
        } else {
            dial_.reset(new DialBy<FIX::SocketInitiator>(*this, settings, log_maker_));
        }
        FIX::Session* const session = FIX::Session::lookupSession(id_);
        session->setDataDictionaryProvider(known_groups());
        session_ = session;
        dial_->start();
    } catch (const std::exception& e) {
        session_ = nullptr;
        dial_.reset();
        return std::string{"FIX session: "} + e.what();
    }
    return "";
}

void QuickfixSession::note_dial() {
    const std::lock_guard<std::mutex> hold{mutex_};
    attempt_.begun = true;
}
/// QuickFIX 1.15 takes a connection that was refused for one that is made, and "sends" its logon
/// before it notices. That is a network without an answer, not a venue that gives none.
void QuickfixSession::note_logon_sent() {
    const bool connected = is_connected_to(dialled_port_);
    const std::lock_guard<std::mutex> hold{mutex_};
    attempt_.logon_sent = attempt_.logon_sent || connected;
}
QuickfixSession::Attempt QuickfixSession::attempt() const {
    const std::lock_guard<std::mutex> hold{mutex_};
    return attempt_;
}

/// Ends the attempt, beside.
void QuickfixSession::hang_up() {
    session_ = nullptr;
    std::shared_ptr<Dial> over{std::move(dial_)};
    try {
        ending_ = std::async(std::launch::async, [over]() mutable {
            over->stop();
            over.reset();
        });
    } catch (const std::system_error&) {  // no thread to be had: then here
        over->stop();
    }
}

void QuickfixSession::tick() {
    const Time now = time_now();
    if (dial_ == nullptr) {
        const bool ended = !ending_.valid() ||
                           ending_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        if (!ended || !schedule_.is_due(now)) {
            return;
        }
        ending_ = {};
        const std::string trouble = dial();
        if (!trouble.empty()) {
            tell(SessionNews::Kind::Trouble, 0, trouble);
            tell_milestone(schedule_.on_failure(now));
        }
        return;
    }
    bool stuck = false;
    {
        const std::lock_guard<std::mutex> hold{mutex_};
        const auto since = Clock::now() - moved_;
        stuck = on_ && highest_seen_ >= target_ && since > kGapMax;
        moved_ = stuck ? Clock::now() : moved_;
    }
    if (stuck) {
        // A resend request that QuickFIX thinks it has sent, or that the venue does not answer.
        tell(SessionNews::Kind::Trouble, 0,
             "the venue does not fill a gap in its numbers; logging on anew");
        session_.load()->logout("gap not filled");
    }
    watch_attempt(now);
}

void QuickfixSession::watch_attempt(Time now) {
    const bool idle = dial_->is_idle(id_);
    const Attempt seen = attempt();
    if (seen.logged_on && !up_) {
        up_ = true;
        schedule_.on_up(now);
    }
    if (!idle) {
        busy_at_ = now;
        if (!seen.logon_sent && now - dialled_at_ >= kConnectMax) {
            messages_.write('*', "No connection in " + in_seconds(kConnectMax) + "; given up");
            hang_up();
            conclude(seen, now);
        }
        return;
    }
    // Until QuickFIX's thread has begun it is idle too.
    if (now - busy_at_ >= (seen.begun ? Time(kIdleMin) : Time(kConnectMax))) {
        hang_up();
        conclude(seen, now);
    }
}

/// What the schedule says to an attempt that is over.
void QuickfixSession::conclude(const Attempt& seen, Time now) {
    up_ = false;
    const bool unanswered = seen.logon_sent && !seen.logged_on && !seen.refused && !seen.mended;
    unanswered_ = unanswered ? unanswered_ + 1 : 0;
    if (seen.logged_on) {
        tell_milestone(schedule_.on_lost(now));
    } else if (seen.mended) {
        schedule_.on_mended(now);
    } else if (seen.credentials) {
        tell_milestone(schedule_.on_refusal(now));
    } else if (seen.refused || unanswered_ >= kUnansweredMax) {
        schedule_.on_closed(now);
        tell(SessionNews::Kind::Trouble, 0,
             (seen.refused ? "the venue takes nobody now"
                           : std::to_string(unanswered_) + " logons in a row were not answered") +
                 std::string{"; the next one in "} + in_seconds(schedule_.next() - now) + " at " +
                 host() + ":" + std::to_string(port()) + ". See the message log for the reason");
    } else {
        tell_milestone(schedule_.on_failure(now));
    }
}

void QuickfixSession::tell_milestone(LinkMilestone what) {
    const std::string next = host() + ":" + std::to_string(port());
    std::string text;
    switch (what) {
        case LinkMilestone::None: return;
        case LinkMilestone::Failing:
            text = std::to_string(schedule_.failures()) + " attempts in a row failed; " +
                   (settings_.backup_host.empty() ? "there is no \"backup_server\" to go to"
                                                  : "going on at " + next);
            break;
        case LinkMilestone::Suspended:
            text = std::to_string(schedule_.failures()) +
                   " attempts in a row failed; from now on they are further and further apart";
            break;
        case LinkMilestone::Stopped:
            text = "the venue refused our credentials " + std::to_string(schedule_.refusals()) +
                   " times in a row: no more attempts, because venues lock accounts. Mend them, "
                   "then end this process (" +
                   std::to_string(::getpid()) + "): it is started again";
            break;
    }
    tell(SessionNews::Kind::Trouble, 0, text);
}

void QuickfixSession::stop() {
    if (FIX::Session* const session = session_) {
        session->logout();
        const auto deadline = Clock::now() + kLogoutWait;
        while (session->isLoggedOn() && Clock::now() < deadline) {
            ::usleep(5000);
        }
    }
    end();
}

/// Without a word to the venue, as a death would end it.
void QuickfixSession::end() {
    if (dial_ != nullptr) {
        session_ = nullptr;
        dial_->stop();
        dial_.reset();
    }
    if (ending_.valid()) {
        ending_.get();
    }
}

std::unique_ptr<VenueSession> VenueSession::start(const SessionSettings& settings,
                                                  std::string& error) {
    std::unique_ptr<QuickfixSession> session{new QuickfixSession{settings}};
    error = session->begin();
    return error.empty() ? std::move(session) : nullptr;
}

}  // namespace fix
}  // namespace millrace
