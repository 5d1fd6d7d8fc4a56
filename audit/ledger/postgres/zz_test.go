package postgres_test
import ("testing";"time";"context";"rekey/audit/ledger";"sync")
func TestZZ(t *testing.T){
 st:=time.Now(); lap:=func(s string){t.Log(s,time.Since(st)); st=time.Now()}
 s,block:=blocked(t); lap("open")
 r:=block(t); lap("block")
 var wg sync.WaitGroup
 for range 8{wg.Go(func(){
 a:=time.Now()
 ctx,c:=context.WithTimeout(t.Context(),200*time.Millisecond);defer c()
 err:=s.Update(ctx,func(ctx context.Context,tx ledger.Tx)error{return tx.Append(ctx,&ledger.Entry{})})
 t.Log(time.Since(a),err)
 })}
 wg.Wait(); lap("blocked")
 r(); lap("release")
 err:=s.Update(t.Context(),func(ctx context.Context,tx ledger.Tx)error{return tx.Append(ctx,&ledger.Entry{})}); lap("append"); _=err
 s.Close(); lap("close")
}
