// Sees to it that a position has the stops its order asked for. Some servers fill a market order and
// drop them; the order's own answer does not say so. What is missing right after the fill is set
// again, which does no harm twice. What has been there once is never touched: who moved or removed
// it, a person or the engine, meant it.

#include "Executor.mqh"

#define STOPS_FIRST_MS 500  // doubles with each attempt
#define STOPS_TRIES 3
#define STOPS_GUARDED_MAX 256

struct Guarded
{
    Command order;
    ulong position;
    int tries;
    ulong next_ms;
    bool given_up;  // seen without its stops after the last attempt
};

class StopGuard
{
private:
    Guarded all_[];

    void remove(const int i)
    {
        int n = ArraySize(all_);
        all_[i] = all_[n - 1];
        ArrayResize(all_, n - 1, 16);
    }

    void set_again(const int i);

public:
    StopGuard() { reset(); }
    void reset() { ArrayResize(all_, 0); }

    /// The engine has something to say about this position: it knows how it stands.
    void forget(const ulong ticket)
    {
        for (int i = ArraySize(all_) - 1; i >= 0; i--)
            if (all_[i].position == ticket)
                remove(i);
    }

    /// A position has gone without its stops through every attempt to set them, the last one too:
    /// that is known by a look after it, not by its number.
    bool missing()
    {
        for (int i = 0; i < ArraySize(all_); i++)
            if (all_[i].given_up)
                return true;
        return false;
    }

    void take_fills()
    {
        Filled filled;
        while (g_executor.take_filled(filled))
        {
            bool asked = filled.order.stop_loss != 0 || filled.order.take_profit != 0;
            int n = ArraySize(all_);
            if (!asked || n >= STOPS_GUARDED_MAX)
                continue;
            ArrayResize(all_, n + 1, 16);
            all_[n].order = filled.order;
            all_[n].position = filled.position;
            all_[n].tries = 0;
            all_[n].next_ms = 0;
            all_[n].given_up = false;
        }
    }

    void update()
    {
        take_fills();
        if (!g_account.ready())
            return;  // an empty list says nothing
        for (int i = ArraySize(all_) - 1; i >= 0; i--)
        {
            if (now_ms() < all_[i].next_ms)
                continue;
            bool there = g_account.select_position(all_[i].position);
            int side = (there && PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY) ? SIDE_BUY
                                                                                        : SIDE_SELL;
            // Gone, or (netting) turned or made smaller by it: its stops are not that one's.
            if (!there || side != all_[i].order.side)
            {
                remove(i);
                continue;
            }
            bool no_sl = all_[i].order.stop_loss != 0 && PositionGetDouble(POSITION_SL) == 0;
            bool no_tp = all_[i].order.take_profit != 0 && PositionGetDouble(POSITION_TP) == 0;
            if (!no_sl && !no_tp)
                remove(i);
            else if (all_[i].tries < STOPS_TRIES)
                set_again(i);
            else
            {
                all_[i].given_up = true;
                all_[i].next_ms = now_ms() + STOPS_FIRST_MS;  // somebody may mend it
            }
        }
    }
};

/// The position is selected.
void StopGuard::set_again(const int i)
{
    if (g_account.refusal() != 0 || !g_account.may_send())
        return;
    MqlTradeRequest request;
    MqlTradeResult result;
    ZeroMemory(request);
    ZeroMemory(result);
    request.action = TRADE_ACTION_SLTP;
    request.magic = all_[i].order.magic;
    request.position = (ulong)PositionGetInteger(POSITION_TICKET);
    request.symbol = PositionGetString(POSITION_SYMBOL);
    request.sl = PositionGetDouble(POSITION_SL);
    request.tp = PositionGetDouble(POSITION_TP);
    if (request.sl == 0)
        request.sl = round_price(request.symbol, from_scaled(all_[i].order.stop_loss));
    if (request.tp == 0)
        request.tp = round_price(request.symbol, from_scaled(all_[i].order.take_profit));
    PrintFormat("millrace: position %s has not got the stops its order asked for; setting them",
                IntegerToString((long)all_[i].position));
    g_link.announce_busy(BUSY_MS);
    ResetLastError();
    bool sent = OrderSend(request, result);
    int error = GetLastError();
    g_link.forgive_silence();
    if (!sent && result.retcode == 0)
        result.retcode = code_of_error(error);
    g_account.on_answer(leaves_open(result.retcode));
    all_[i].tries++;
    // After the last one there is nothing to wait for but the list of positions.
    bool last = all_[i].tries >= STOPS_TRIES;
    all_[i].next_ms = now_ms() + (last ? (ulong)STOPS_FIRST_MS
                                       : (ulong)STOPS_FIRST_MS << all_[i].tries);
    if (is_done(result.retcode) || result.retcode == TRADE_RETCODE_NO_CHANGES)
        return;
    PrintFormat("millrace: they were not set, return code %d, attempt %d of %d",
                (int)result.retcode, all_[i].tries, STOPS_TRIES);
}

StopGuard g_stops;
