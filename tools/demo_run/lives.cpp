#include "tools/demo_run/lives.h"

namespace millrace::demo {

Nanos Life::deadline() const noexcept {
    return sent + millis(request.ttl_ms == 0 ? kDefaultTtlMs : request.ttl_ms);
}

void Lives::sent(const SignalRequest& request, Purpose purpose, Nanos now) {
    const auto [at, is_new] = lives_.try_emplace(request.id);
    if (!is_new) {
        return;
    }
    Life& life = at->second;
    life.request = request;
    life.purpose = purpose;
    life.sent = now;
    ++open_;
}

template <class Change>
void Lives::update(const SignalId& id, Change&& change) {
    const auto at = lives_.find(id);
    if (at == lives_.end()) {
        return;
    }
    const bool was_over = at->second.over();
    change(at->second);
    open_ -= at->second.over() && !was_over ? 1 : 0;
}

void Lives::accepted(const SignalId& id, Nanos now) {
    update(id, [now](Life& life) {
        if (life.answer == Answer::None) {
            life.answer = Answer::Accepted;
            life.acked = now;
        }
    });
}

void Lives::refused(const SignalId& id, Reason reason, std::string_view text, Nanos now) {
    update(id, [&](Life& life) {
        if (life.answer != Answer::None) {
            // A repeat's refusal takes nothing back; but one that is too old for the ledger has
            // been lost with its log, and nothing more will come.
            if (reason == Reason::StaleSignal && life.ended.value == 0) {
                life.ended = now;
                life.forgotten = true;
            }
            return;
        }
        life.answer = Answer::Refused;
        life.reason = reason;
        life.text = text;
        life.acked = now;
        life.ended = now;
    });
}

void Lives::result(const SignalResult& r, Nanos now) {
    update(r.signal, [&](Life& life) {
        switch (r.kind) {
            case ResultKind::OrderDone: {
                Share& share = life.shares[r.account.value];
                share.status = static_cast<OrdStatus>(r.ord_status);
                share.reason = static_cast<Reason>(r.reason);
                share.retcode = r.retcode;
                share.cum_volume = r.cum_volume;
                share.magic = r.magic;
                share.ended = share.done ? share.ended : now;
                share.done = true;
                return;
            }
            case ResultKind::OrderInDoubt: life.shares[r.account.value].was_in_doubt = true; return;
            case ResultKind::OrderWorking:
                life.shares[r.account.value].status = OrdStatus::New;
                life.shares[r.account.value].magic = r.magic;
                return;
            case ResultKind::SignalDone:
                life.accounts = r.accounts;
                life.filled = r.filled;
                life.rejected = r.rejected;
                life.reason = static_cast<Reason>(r.reason);
                life.ended = life.ended.value != 0 ? life.ended : now;
                return;
            default: return;
        }
    });
}

const Life* Lives::find(const SignalId& id) const noexcept {
    const auto at = lives_.find(id);
    return at == lives_.end() ? nullptr : &at->second;
}

std::vector<SignalId> Lives::open() const {
    std::vector<SignalId> ids;
    for (const auto& [id, life] : lives_) {
        if (!life.over()) {
            ids.push_back(id);
        }
    }
    return ids;
}

}  // namespace millrace::demo
