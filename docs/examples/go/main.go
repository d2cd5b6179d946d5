// Generates completions and executes a program over TLS, with stubs made from protos/ alone.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	pb "roundsmith.dev/roundsmith/v1"
)

func main() {
	log.SetFlags(0)
	generator := flag.String("generator", "localhost:8033", "HOST:PORT of the generator")
	executor := flag.String("executor", "localhost:8035", "HOST:PORT of the executor")
	ca := flag.String("ca", "ca.crt", "PEM file of the authority that signed the servers' certificates")
	certificate := flag.String("certificate", "", "PEM file to show, where the servers ask for one")
	key := flag.String("key", "", "PEM file of its key")
	flag.Parse()

	secure, err := transport(*ca, *certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	if err := generate(*generator, secure); err != nil {
		log.Fatal(explain(err))
	}
	if err := execute(*executor, secure); err != nil {
		log.Fatal(explain(err))
	}
}

// transport trusts one authority and shows a certificate where there is one.
func transport(ca, certificate, key string) (grpc.DialOption, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", ca)
	}
	config := &tls.Config{RootCAs: roots}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(config)), nil
}

// generate sends a good and a bad item over one stream. The bad one does not end it.
func generate(address string, secure grpc.DialOption) error {
	channel, err := grpc.NewClient(address, secure)
	if err != nil {
		return err
	}
	defer channel.Close()
	client := pb.NewGeneratorServiceClient(channel)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // every call needs a deadline
	defer cancel()

	model, err := client.GetModel(ctx, &pb.GetModelRequest{})
	if err != nil {
		return err
	}
	fmt.Printf("weights %s, reproducible %t\n", model.WeightsSha256[:12], model.Reproducible)

	stream, err := client.GenerateStream(ctx)
	if err != nil {
		return err
	}
	temperature := 0.8
	prompt := &pb.Prompt{Kind: &pb.Prompt_Text{Text: "def add_one(x: int) -> int:\n"}}
	sampling := &pb.Sampling{MaxTokens: 24, Temperature: &temperature, Stop: []string{"\ndef"}}
	requestID := rand.Text() // send what is unanswered again under the same one
	for _, item := range []*pb.GenerateItem{
		{ItemId: "good", Prompt: prompt, Sampling: sampling, Seed: 1, N: 2},
		{ItemId: "bad", Sampling: sampling, Seed: 1, N: 1},
	} {
		request := &pb.GenerateStreamRequest{
			RequestId: requestID, Item: item, ExpectedWeightsSha256: model.WeightsSha256,
		}
		if err := stream.Send(request); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if failed := answer.GetError(); failed != nil {
			fmt.Printf("%s failed: %v\n", answer.ItemId, explain(status.ErrorProto(failed)))
			continue
		}
		drawn := answer.GetCompletion()
		fmt.Printf("%s %d %q %s last=%t\n", answer.ItemId, drawn.Index, drawn.Text, drawn.FinishReason, answer.Last)
	}
}

// execute runs one program on two tests, of which one fails.
func execute(address string, secure grpc.DialOption) error {
	channel, err := grpc.NewClient(address, secure)
	if err != nil {
		return err
	}
	defer channel.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	item := &pb.ExecuteItem{
		ItemId:   "matrix",
		Programs: []*pb.Program{{CodeId: "sum", Source: "def add(a, b):\n    return a + b\n"}},
		Tests:    []*pb.Test{expecting("is-5", 5), expecting("is-6", 6)},
	}
	request := &pb.ExecuteRequest{RequestId: rand.Text(), Item: item}
	found, err := pb.NewExecutorServiceClient(channel).Execute(ctx, request)
	if err != nil {
		return err
	}
	for _, outcome := range found.Outcomes {
		fmt.Println(outcome.CodeId, outcome.TestId, outcome.Verdict, outcome.Label)
	}
	return nil
}

// expecting is the test that add(2, 3) is a number.
func expecting(name string, sum int) *pb.Test {
	call := &pb.CallTest{
		EntryPoint: "add", Args: []*pb.Value{integer(2), integer(3)}, Expected: integer(sum),
	}
	return &pb.Test{TestId: name, Kind: &pb.Test_Call{Call: call}}
}

// integer is Python's int, which has no largest value.
func integer(number int) *pb.Value {
	return &pb.Value{Kind: &pb.Value_IntValue{IntValue: fmt.Sprint(number)}}
}

// explain names the reason that every error of Roundsmith carries.
func explain(err error) error {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return fmt.Errorf("%s: %s", info.Reason, status.Convert(err).Message())
		}
	}
	return err
}
